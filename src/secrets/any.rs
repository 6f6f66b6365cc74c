//! The sinks of a project behind one type.

use super::age::AgeSink;
use super::exec::ExecSink;
use super::keyring::KeyringSink;
use super::sealed::SealedSink;
use crate::keyset::Secret;
use crate::ports::{Owner, SecretName, Sink, SinkError};

pub enum AnySink {
    Keyring(KeyringSink),
    Sealed(Box<SealedSink>),
    Age(AgeSink),
    Exec(ExecSink),
}

macro_rules! each {
    ($any:expr, $sink:ident => $call:expr) => {
        match $any {
            AnySink::Keyring($sink) => $call,
            AnySink::Sealed($sink) => $call,
            AnySink::Age($sink) => $call,
            AnySink::Exec($sink) => $call,
        }
    };
}

impl Sink for AnySink {
    fn name(&self) -> &'static str {
        each!(self, sink => sink.name())
    }
    async fn probe(&self) -> Result<(), SinkError> {
        each!(self, sink => sink.probe().await)
    }
    fn readable(&self) -> bool {
        each!(self, sink => sink.readable())
    }
    async fn put(
        &self,
        name: &SecretName,
        owner: Option<Owner<'_>>,
        secret: &Secret,
    ) -> Result<(), SinkError> {
        each!(self, sink => sink.put(name, owner, secret).await)
    }
    async fn has(&self, name: &SecretName) -> Result<Option<bool>, SinkError> {
        each!(self, sink => sink.has(name).await)
    }
    async fn remove(&self, name: &SecretName) -> Result<bool, SinkError> {
        each!(self, sink => sink.remove(name).await)
    }
    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, SinkError> {
        each!(self, sink => sink.get(name).await)
    }
}
