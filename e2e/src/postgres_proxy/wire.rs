//! PostgreSQL's protocol, version 3, as far as it takes to see statements come and their ends go: a message is a letter, its length, and what it
//! says (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The first message of a connection that asks for TLS, and the one that asks for GSSAPI: neither is given here.
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
/// No message is larger here.
const LARGEST: usize = 64 << 20;

/// One end of the way.
pub(super) struct End {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// A message as it came.
pub(super) struct Message(Vec<u8>);

impl Message {
    /// What kind it is.
    pub(super) fn kind(&self) -> u8 {
        self.0.first().copied().unwrap_or_default()
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn body(&self) -> &[u8] {
        self.0.get(5..).unwrap_or_default()
    }

    /// The texts that it begins with, each ended by a zero.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        self.body().split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned())
    }

    /// Of a `ReadyForQuery`: whether a transaction is open (`T`), broken (`E`), or none (`I`).
    pub(super) fn status(&self) -> u8 {
        self.body().first().copied().unwrap_or_default()
    }
}

impl End {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// Sends.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next message; none at the end. Nothing is lost where this is dropped before it is done.
    pub(super) async fn next(&mut self) -> io::Result<Option<Message>> {
        self.take(1).await.map(|found| found.map(Message))
    }

    /// The first message, which has no letter; requests for what is not given are refused before it.
    pub(super) async fn first(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let Some(message) = self.take(0).await? else { return Ok(None) };
            match number(message.get(4..8)) {
                Some(SSL | GSS) => self.send(b"N").await?,
                _ => return Ok(Some(message)),
            }
        }
    }

    /// A message whose length stands behind so many bytes, and counts itself.
    async fn take(&mut self, before: usize) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(length) = number(self.unread.get(before..before + 4)) {
                let whole = before + usize::try_from(length).unwrap_or(LARGEST);
                if whole >= LARGEST || whole < before + 4 {
                    return Err(io::Error::other("this is not PostgreSQL's protocol"));
                }
                if self.unread.len() >= whole {
                    let rest = self.unread.split_off(whole);
                    return Ok(Some(std::mem::replace(&mut self.unread, rest)));
                }
            }
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Ok(None);
            }
        }
    }
}

fn number(bytes: Option<&[u8]>) -> Option<u32> {
    bytes?.try_into().ok().map(u32::from_be_bytes)
}
