//! Transactions over one and several clusters.
//!
//! [`Transactions`] is the door. A transaction has a branch on each of its clusters. When one branch has written, it is
//! committed as any transaction is. When several have, the first of them decides: its branch writes a row, the others are
//! prepared, then its commit, which makes the row durable, commits all of them. Whoever finds a prepared transaction later
//! asks the deciding cluster for the row: it is there, or its writer is still at it, or it never will be there, as the row
//! was written before anything was prepared. So any process with the same role finishes what another left ([`recovery`]).

mod branch;
mod commit;
mod decision;
mod error;
mod failpoint;
mod forgetting;
mod given_up;
mod options;
mod plan;
pub(crate) mod prepared;
mod recovery;
pub(crate) mod settle;
mod state;
mod transactions;

pub use error::{Error, ErrorKind};
pub use options::{Isolation, TransactionOptions};
pub use state::State;
pub(crate) use transactions::Transaction;
pub use transactions::{Begun, Committed, Participant, Transactions};
