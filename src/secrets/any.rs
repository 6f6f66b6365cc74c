//! The sinks of a project behind one type: a row each.

use super::age::AgeSink;
use super::exec::ExecSink;
use super::keyring::KeyringSink;
use super::sealed::SealedSink;
use crate::keyset::Secret;
use crate::ports::{Owner, SecretName, Sink, SinkError, SinkType};

macro_rules! sinks {
    ($($kind:ident($sink:ty))+) => {
        pub enum AnySink { $($kind($sink)),+ }

        impl Sink for AnySink {
            fn kind(&self) -> SinkType {
                match self { $(AnySink::$kind(_) => SinkType::$kind),+ }
            }
            async fn probe(&self) -> Result<(), SinkError> {
                match self { $(AnySink::$kind(sink) => sink.probe().await),+ }
            }
            fn readable(&self) -> bool {
                match self { $(AnySink::$kind(sink) => sink.readable()),+ }
            }
            async fn put(
                &self,
                name: &SecretName,
                owner: Option<Owner<'_>>,
                secret: &Secret,
            ) -> Result<(), SinkError> {
                match self { $(AnySink::$kind(sink) => sink.put(name, owner, secret).await),+ }
            }
            async fn has(&self, name: &SecretName) -> Result<Option<bool>, SinkError> {
                match self { $(AnySink::$kind(sink) => sink.has(name).await),+ }
            }
            async fn remove(&self, name: &SecretName) -> Result<bool, SinkError> {
                match self { $(AnySink::$kind(sink) => sink.remove(name).await),+ }
            }
            async fn get(&self, name: &SecretName) -> Result<Option<Secret>, SinkError> {
                match self { $(AnySink::$kind(sink) => sink.get(name).await),+ }
            }
        }
    };
}

sinks! {
    Keyring(KeyringSink)
    KeyringFiles(Box<SealedSink>)
    Age(AgeSink)
    Exec(ExecSink)
}
