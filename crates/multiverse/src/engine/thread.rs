//! The engine's thread: a runtime of its own that turns the engine whenever something has happened.

use std::thread::JoinHandle;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{Command, EngineSettings, TurnEnd};
use crate::config::Clusters;
use crate::error::Error;

pub(crate) fn check(_clusters: &Clusters) -> Result<(), Error> {
    Ok(())
}

pub(super) fn start(
    _clusters: Clusters,
    _settings: EngineSettings,
    _on_turn_end: TurnEnd,
) -> Result<(UnboundedSender<Command>, JoinHandle<()>), Error> {
    let (commands, mut receiver) = unbounded_channel();
    let thread = std::thread::Builder::new()
        .name("replicaverse-io".to_owned())
        .spawn(move || {
            while let Some(command) = receiver.blocking_recv() {
                match command {
                    Command::Close(reply) => return reply(),
                    Command::Submit(requests) => {
                        requests.into_iter().for_each(|request| request.answer.end(Err(Error::Closed)))
                    }
                    _ => {}
                }
            }
        })
        .map_err(|error| Error::Start(error.into()))?;
    Ok((commands, thread))
}
