//! The process that makes transfers until it is killed. It runs as a test of this program, started with its settings in the
//! environment; without them there is nothing to do.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use multiverse::transaction::{Begun, Committed, Error, TransactionOptions, Transactions};
use multiverse::{
    Answer, BindParameters, ClusterEvent, Clusters, Completed, Engine, EngineSettings, Flow, Request,
    RequestId, Retry, SessionId,
};
use wire::{Column, RowBatch};

use crate::servers::{LIMIT, NAMES, clusters};

/// The ports of the servers, and a number that makes the ids of this process' transfers its own.
pub(crate) const PORTS: &str = "REPLICAVERSE_TEST_PORTS";
pub(crate) const NUMBER: &str = "REPLICAVERSE_TEST_NUMBER";

/// An engine with its transactions, for a thread that waits.
pub(crate) struct Transferring {
    engine: Arc<Engine>,
    transactions: Transactions,
    next: u64,
}

impl Transferring {
    pub(crate) fn start(ports: &[u16]) -> Self {
        Self::start_on(clusters(ports))
    }

    pub(crate) fn start_on(clusters: Clusters) -> Self {
        let settings = EngineSettings::default();
        let engine = Arc::new(Engine::start(clusters, settings, Box::new(|| {})).expect("it starts"));
        let transactions = Transactions::start(Arc::clone(&engine));
        Self { engine, transactions, next: 0 }
    }

    /// Moves money from the first server to the others, and notes the transfer on all of them.
    pub(crate) fn transfer(&mut self, id: &str, account: u64) -> Result<bool, Error> {
        let transaction = self.write(id, account)?;
        let committed = self.wait(|all| async move { all.commit(&transaction, None).await })?;
        Ok(committed.is_distributed)
    }

    /// Makes a transfer, and leaves its commit under way.
    pub(crate) fn commit_under_way(&mut self, id: &str) -> Receiver<Result<Committed, Error>> {
        let transaction = self.write(id, 1).expect("it is written");
        let (end, ended) = channel();
        self.transactions.commit_and_tell(&transaction, None, move |outcome| {
            let _ = end.send(outcome);
        });
        ended
    }

    /// What is told of the clusters from now on.
    pub(crate) fn events(&self) -> Receiver<ClusterEvent> {
        let (sender, events) = channel();
        self.engine.listen(Box::new(move |event| {
            // The test may have ended.
            let _ = sender.send(event);
        }));
        events
    }

    /// Closes the engine.
    pub(crate) fn close(&self) {
        let (end, ended) = channel();
        self.engine.close(Box::new(move || end.send(()).expect("the test waits")));
        ended.recv_timeout(LIMIT).expect("it is closed");
    }

    fn write(&mut self, id: &str, account: u64) -> Result<Arc<str>, Error> {
        let begun = self.begin(TransactionOptions::default())?;
        let Begun { id: transaction, participants } = begun;
        for (participant, (name, amount)) in participants.iter().zip(NAMES.into_iter().zip([-2, 1, 1])) {
            let update =
                format!("UPDATE {name}.account SET amount = amount + ({amount}) WHERE id = {account}");
            let note = format!("INSERT INTO {name}.transfer VALUES ('{id}')");
            for sql in [update, note] {
                if let Err(error) = self.run(participant.session.id, &sql) {
                    let transaction = Arc::clone(&transaction);
                    // Its connections may be gone.
                    let _ = self.wait(|all| async move { all.roll_back(&transaction).await });
                    return Err(error.into());
                }
            }
        }
        Ok(transaction)
    }

    /// Begins a transaction on all servers.
    pub(crate) fn begin(&self, options: TransactionOptions) -> Result<Begun, Error> {
        let schemas: Vec<Arc<str>> = NAMES.into_iter().map(Arc::from).collect();
        self.wait(|all| async move { all.begin(&schemas, options).await })
    }

    fn run(&mut self, session: SessionId, sql: &str) -> Result<(), multiverse::Error> {
        self.next += 1;
        let (end, ended) = channel();
        self.engine.submit(vec![Request {
            id: RequestId(self.next),
            sql: Arc::from(sql),
            parameters: BindParameters::none(),
            route: multiverse::route::RouteOptions::default(),
            session: Some(session),
            timeout: None,
            retry: Retry::default(),
            streamed: false,
            cache: None,
            answer: Box::new(Ending(end)),
        }]);
        ended.recv_timeout(LIMIT).expect("the statement ends")
    }

    fn wait<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        task: impl FnOnce(Transactions) -> F,
    ) -> T {
        let (end, ended) = channel();
        let task = task(self.transactions.clone());
        self.transactions.spawn(async move {
            let _ = end.send(task.await);
        });
        ended.recv_timeout(LIMIT).expect("the task ends")
    }
}

struct Ending(Sender<Result<(), multiverse::Error>>);

impl Answer for Ending {
    fn columns(&mut self, _: &Arc<[Column]>) {}

    fn rows(&mut self, _: RowBatch) -> Flow {
        Flow::Continue
    }

    fn result(&mut self, _: &str) {}

    fn end(self: Box<Self>, outcome: Result<Completed, multiverse::Error>) {
        let _ = self.0.send(outcome.map(drop));
    }
}

/// Makes one transfer after the other, and says of each how it ended.
#[test]
fn a_process_that_transfers_until_it_is_killed() {
    let (Ok(ports), Ok(number)) = (std::env::var(PORTS), std::env::var(NUMBER)) else { return };
    let ports: Vec<u16> = ports.split(',').map(|port| port.parse().expect("a port")).collect();
    let mut transferring = Transferring::start(&ports);
    for count in 0.. {
        let id = format!("{number}-{count}");
        match transferring.transfer(&id, count % 10) {
            Ok(is_distributed) => {
                assert!(is_distributed);
                println!("committed {id}");
            }
            Err(Error::OutcomeUnknown { .. }) => println!("unknown {id}"),
            Err(error) => {
                println!("aborted {id} {error}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}
