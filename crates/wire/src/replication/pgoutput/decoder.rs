//! The decoder: messages in, with the tables described so far.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::body::Body;
use super::error::DecodeError;
use super::message::{
    Begin, Commit, Delete, Insert, LogicalMessage, Message, OldTuple, Origin, StreamAbort, StreamCommit,
    StreamStart, Truncate, Update,
};
use super::relation::{Relation, TypeName};
use super::tuple::Tuple;

type Result<T> = std::result::Result<T, DecodeError>;
type Relations = HashMap<u32, Arc<Relation>>;

/// Decodes the messages of one stream, in their order. A new stream needs a new decoder: the server then describes
/// every table anew.
#[derive(Debug, Default)]
pub struct Decoder {
    relations: Relations,
    /// Tables described inside streamed transactions, which count for others only once those have committed.
    streamed: HashMap<u32, Relations>,
    /// The streamed transaction whose block is being read.
    block: Option<u32>,
}

impl Decoder {
    /// A decoder for the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// The table of this oid as it was described last, outside of streamed transactions that are running.
    pub fn relation(&self, oid: u32) -> Option<&Arc<Relation>> {
        self.relations.get(&oid)
    }

    /// Decodes one message: the payload of an [`XLogData`](crate::replication::XLogData).
    ///
    /// # Errors
    /// See [`DecodeError`]. The decoder stays as it was, but no later message can be relied on.
    pub fn decode(&mut self, payload: Bytes) -> Result<Message> {
        let Some((tag, rest)) = payload.split_first() else {
            return Err(DecodeError::Truncated { message: "a message" });
        };
        let body = |name| Body::new(&payload, rest, name);
        match tag {
            b'I' => self.insert(body("Insert")),
            b'U' => self.update(body("Update")),
            b'D' => self.delete(body("Delete")),
            b'B' => self.outside(body("Begin")).and_then(begin),
            b'C' => self.outside(body("Commit")).and_then(commit),
            b'O' => origin(body("Origin")),
            b'R' => self.relation_message(body("Relation")),
            b'Y' => self.type_message(body("Type")),
            b'T' => self.truncate(body("Truncate")),
            b'M' => self.logical_message(body("Message")),
            b'S' => self.stream_start(body("Stream Start")),
            b'E' => self.stream_stop(body("Stream Stop")),
            b'c' => self.stream_commit(body("Stream Commit")),
            b'A' => self.stream_abort(body("Stream Abort")),
            b'b' => Err(DecodeError::TwoPhase("Begin Prepare")),
            b'P' => Err(DecodeError::TwoPhase("Prepare")),
            b'K' => Err(DecodeError::TwoPhase("Commit Prepared")),
            b'r' => Err(DecodeError::TwoPhase("Rollback Prepared")),
            b'p' => Err(DecodeError::TwoPhase("Stream Prepare")),
            other => Err(DecodeError::UnknownMessage(*other)),
        }
    }

    /// # Errors
    /// A block of a streamed transaction is being read.
    fn outside<'a>(&self, body: Body<'a>) -> Result<Body<'a>> {
        match self.block {
            None => Ok(body),
            Some(_) => Err(DecodeError::OutOfPlace { message: body.message() }),
        }
    }

    /// Inside a block, changes begin with the id of their transaction or subtransaction.
    fn xid(&self, body: &mut Body<'_>) -> Result<Option<u32>> {
        self.block.map(|_| body.u32()).transpose()
    }

    fn find(&self, oid: u32, message: &'static str) -> Result<Arc<Relation>> {
        let of_block = self.block.and_then(|xid| self.streamed.get(&xid)?.get(&oid));
        let relation = of_block.or_else(|| self.relations.get(&oid));
        relation.cloned().ok_or(DecodeError::UnknownRelation { message, oid })
    }

    fn changed(&self, body: &mut Body<'_>) -> Result<(Option<u32>, Arc<Relation>)> {
        let xid = self.xid(body)?;
        let oid = body.u32()?;
        Ok((xid, self.find(oid, body.message())?))
    }

    fn insert(&self, mut body: Body<'_>) -> Result<Message> {
        let (xid, relation) = self.changed(&mut body)?;
        if body.u8()? != b'N' {
            return Err(body.invalid("kind of row"));
        }
        let new = Tuple::read(&mut body, &relation)?;
        body.end()?;
        Ok(Message::Insert(Insert { xid, relation, new }))
    }

    fn update(&self, mut body: Body<'_>) -> Result<Message> {
        let (xid, relation) = self.changed(&mut body)?;
        let mut kind = body.u8()?;
        let old = match kind {
            b'K' => Some(OldTuple::Key(Tuple::read(&mut body, &relation)?)),
            b'O' => Some(OldTuple::Full(Tuple::read(&mut body, &relation)?)),
            _ => None,
        };
        if old.is_some() {
            kind = body.u8()?;
        }
        if kind != b'N' {
            return Err(body.invalid("kind of row"));
        }
        let new = Tuple::read(&mut body, &relation)?;
        body.end()?;
        Ok(Message::Update(Update { xid, relation, old, new }))
    }

    fn delete(&self, mut body: Body<'_>) -> Result<Message> {
        let (xid, relation) = self.changed(&mut body)?;
        let old = match body.u8()? {
            b'K' => OldTuple::Key(Tuple::read(&mut body, &relation)?),
            b'O' => OldTuple::Full(Tuple::read(&mut body, &relation)?),
            _ => return Err(body.invalid("kind of row")),
        };
        body.end()?;
        Ok(Message::Delete(Delete { xid, relation, old }))
    }

    fn truncate(&self, mut body: Body<'_>) -> Result<Message> {
        let xid = self.xid(&mut body)?;
        let count = body.u32()?;
        let options = body.u8()?;
        if options & !3 != 0 {
            return Err(body.invalid("options"));
        }
        let mut relations = Vec::new();
        for _ in 0..count {
            let oid = body.u32()?;
            relations.push(self.find(oid, body.message())?);
        }
        body.end()?;
        let (cascade, restart_identity) = (options & 1 != 0, options & 2 != 0);
        Ok(Message::Truncate(Truncate { xid, relations, cascade, restart_identity }))
    }

    fn logical_message(&self, mut body: Body<'_>) -> Result<Message> {
        let xid = self.xid(&mut body)?;
        let transactional = body.u8()? & 1 == 1;
        let lsn = body.lsn()?;
        let prefix = body.string("prefix")?;
        let (start, length) = body.skip_sized("length")?;
        let content = body.whole().slice(start..start + length);
        body.end()?;
        Ok(Message::Logical(LogicalMessage { xid, transactional, lsn, prefix, content }))
    }

    fn relation_message(&mut self, mut body: Body<'_>) -> Result<Message> {
        self.xid(&mut body)?;
        let relation = Arc::new(Relation::read(body)?);
        let relations = match self.block {
            Some(xid) => self.streamed.entry(xid).or_default(),
            None => &mut self.relations,
        };
        relations.insert(relation.oid, Arc::clone(&relation));
        Ok(Message::Relation(relation))
    }

    fn type_message(&self, mut body: Body<'_>) -> Result<Message> {
        self.xid(&mut body)?;
        TypeName::read(body).map(Message::Type)
    }

    fn stream_start(&mut self, body: Body<'_>) -> Result<Message> {
        let mut body = self.outside(body)?;
        let xid = body.u32()?;
        let is_first = body.u8()? == 1;
        body.end()?;
        self.block = Some(xid);
        Ok(Message::StreamStart(StreamStart { xid, is_first }))
    }

    fn stream_stop(&mut self, body: Body<'_>) -> Result<Message> {
        if self.block.is_none() {
            return Err(DecodeError::OutOfPlace { message: body.message() });
        }
        body.end()?;
        self.block = None;
        Ok(Message::StreamStop)
    }

    fn stream_commit(&mut self, body: Body<'_>) -> Result<Message> {
        let mut body = self.outside(body)?;
        let xid = body.u32()?;
        let commit = read_commit(body)?;
        // The server does not describe again what it has described inside the transaction.
        self.relations.extend(self.streamed.remove(&xid).unwrap_or_default());
        Ok(Message::StreamCommit(StreamCommit { xid, commit }))
    }

    fn stream_abort(&mut self, body: Body<'_>) -> Result<Message> {
        let mut body = self.outside(body)?;
        let (xid, subxid) = (body.u32()?, body.u32()?);
        let aborted_at = if body.remaining() > 0 { Some((body.lsn()?, body.timestamp()?)) } else { None };
        body.end()?;
        if xid == subxid {
            self.streamed.remove(&xid);
        }
        Ok(Message::StreamAbort(StreamAbort { xid, subxid, aborted_at }))
    }
}

fn begin(mut body: Body<'_>) -> Result<Message> {
    let begin = Begin { final_lsn: body.lsn()?, commit_time: body.timestamp()?, xid: body.u32()? };
    body.end()?;
    Ok(Message::Begin(begin))
}

fn commit(body: Body<'_>) -> Result<Message> {
    read_commit(body).map(Message::Commit)
}

fn read_commit(mut body: Body<'_>) -> Result<Commit> {
    if body.u8()? != 0 {
        return Err(body.invalid("flags"));
    }
    let commit = Commit { commit_lsn: body.lsn()?, end_lsn: body.lsn()?, commit_time: body.timestamp()? };
    body.end()?;
    Ok(commit)
}

fn origin(mut body: Body<'_>) -> Result<Message> {
    let origin = Origin { commit_lsn: body.lsn()?, name: body.string("name")? };
    body.end()?;
    Ok(Message::Origin(origin))
}
