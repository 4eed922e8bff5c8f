//! What pinned connections bring unasked, as JavaScript hears of it.

use multiverse::{SessionId, SessionNews};
use napi::Status;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use serde_json::{Value as Json, json};

use super::NativeMultiverse;

/// Hears of news as JSON text. It keeps the process alive as long as the session lasts, as who listens waits for more.
type NewsFunction = ThreadsafeFunction<String, (), String, Status, false>;

#[napi]
impl NativeMultiverse {
    /// Has a function told of notifications that come to a pinned connection, and of its loss, as JSON text.
    #[napi]
    pub fn listen_in_session(
        &self,
        session: u32,
        #[napi(ts_arg_type = "(news: string) => void")] listener: NewsFunction,
    ) {
        let tell = move |news| {
            // Once JavaScript's environment ends, nobody is there to hear.
            listener.call(news_of(&news).to_string(), ThreadsafeFunctionCallMode::NonBlocking);
        };
        self.engine.listen_in_session(SessionId(session.into()), Box::new(tell));
    }
}

fn news_of(news: &SessionNews) -> Json {
    match news {
        SessionNews::Notification(notification) => json!({
            "event": "notification",
            "channel": notification.channel,
            "payload": notification.payload,
            "processId": notification.process_id,
        }),
        SessionNews::Lost(reason) => json!({"event": "lost", "reason": &**reason}),
    }
}
