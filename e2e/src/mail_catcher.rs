//! A mail server that keeps what it is sent, for tests and for `cargo dev up`. It speaks SMTP (RFC 5321) as far as a sender needs, and
//! can be told to refuse, to be slow, or to hang up.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use mailparse::{MailHeaderMap as _, ParsedMail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::wait;

/// The largest message, in bytes.
const LARGEST: u64 = 10 * 1024 * 1024;

/// A mail that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// The subject, decoded.
    pub subject: String,
    /// The Message-ID as it was sent.
    pub message_id: String,
    /// The text for programs that show text.
    pub text: String,
    /// The HTML.
    pub html: String,
}

impl Mail {
    fn read(from: String, to: Vec<String>, bytes: &[u8]) -> Result<Self> {
        let parsed = mailparse::parse_mail(bytes).context("what was sent is no mail")?;
        let header = |name: &str| parsed.headers.get_first_value(name).unwrap_or_default();
        Ok(Self {
            from,
            to,
            subject: header("Subject"),
            message_id: header("Message-ID"),
            text: part(&parsed, "text/plain"),
            html: part(&parsed, "text/html"),
        })
    }

    /// The value of a parameter in the first link that has it.
    pub fn link_parameter(&self, name: &str) -> Option<String> {
        let mark = format!("{name}=");
        let (_, after) = self.text.split_once(&mark)?;
        Some(after.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.~".contains(*c)).collect())
    }
}

fn part(mail: &ParsedMail<'_>, kind: &str) -> String {
    if mail.ctype.mimetype == kind {
        return mail.get_body().unwrap_or_default();
    }
    mail.subparts.iter().map(|sub| part(sub, kind)).find(|text| !text.is_empty()).unwrap_or_default()
}

/// What it does with a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// Takes it.
    #[default]
    Well,
    /// Answers with this line: `451 try later`, `550 no such user`.
    Refuses(String),
    /// Keeps it and hangs up without an answer.
    LosesAnswer,
    /// Takes it after a while.
    Slow(Duration),
}

#[derive(Debug, Default)]
struct Kept {
    mails: Mutex<Vec<Mail>>,
    mood: Mutex<Mood>,
    folder: Mutex<Option<PathBuf>>,
    count: watch::Sender<usize>,
}

/// A mail server. Dropping it stops it; what it kept goes with it.
#[derive(Debug)]
pub struct MailCatcher {
    kept: Arc<Kept>,
    address: SocketAddr,
    listening: AbortHandle,
}

impl MailCatcher {
    /// Starts one on a free port.
    pub async fn start() -> Result<Self> {
        Self::start_on("127.0.0.1:0").await
    }

    /// Starts one there.
    pub async fn start_on(address: &str) -> Result<Self> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("can't listen on {address}"))?;
        let (kept, address) = (Arc::new(Kept::default()), listener.local_addr()?);
        let shared = Arc::clone(&kept);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&shared);
                // A sender that breaks off has nothing to be told.
                tokio::spawn(async move { drop(converse(stream, &kept).await) });
            }
        });
        Ok(Self { kept, address, listening: listening.abort_handle() })
    }

    /// Its address for a sender.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// What it does with messages from now on.
    pub fn set_mood(&self, mood: Mood) {
        *self.kept.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// Keeps every mail from now on in a folder, too, as JSON named by its number.
    pub fn keep_in(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        *self.kept.folder.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.to_owned());
        Ok(())
    }

    /// All mails, in the order they came.
    pub fn mails(&self) -> Vec<Mail> {
        self.kept.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The mails to an address, in the order they came.
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.to.iter().any(|to| to == address)).collect()
    }

    /// Waits for the `nth` mail to an address, from 1 on.
    pub async fn nth_to(&self, address: &str, nth: usize, bound: Duration) -> Result<Mail> {
        let mut count = self.kept.count.subscribe();
        let what = format!("mail {nth} to {address}");
        let found = async {
            loop {
                if let Some(mail) = self.mails_to(address).into_iter().nth(nth - 1) {
                    return anyhow::Ok(mail);
                }
                count.changed().await?;
            }
        };
        wait::within(&what, bound, found).await.with_context(|| {
            let subjects: Vec<String> = self.mails_to(address).into_iter().map(|mail| mail.subject).collect();
            format!("there are {subjects:?}")
        })
    }
}

impl Drop for MailCatcher {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn converse(stream: TcpStream, kept: &Kept) -> Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader);
    writer.write_all(b"220 catcher ESMTP\r\n").await?;
    let (mut from, mut to) = (String::new(), Vec::new());
    loop {
        let mut line = String::new();
        if (&mut lines).take(4096).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let verb: String = line.chars().take(4).collect::<String>().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-catcher\r\n250-8BITMIME\r\n250 SMTPUTF8".to_owned(),
            "HELO" | "NOOP" => "250 ok".to_owned(),
            "RSET" => {
                (from, to) = (String::new(), Vec::new());
                "250 ok".to_owned()
            }
            "MAIL" => {
                from = path(&line);
                "250 ok".to_owned()
            }
            "RCPT" => {
                to.push(path(&line));
                "250 ok".to_owned()
            }
            "DATA" if to.is_empty() => "503 to whom?".to_owned(),
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                let bytes = message(&mut lines).await?;
                let mail = Mail::read(std::mem::take(&mut from), std::mem::take(&mut to), &bytes)?;
                let Some(answer) = take(kept, mail).await else { return Ok(()) };
                answer
            }
            "QUIT" => {
                writer.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "502 not known here".to_owned(),
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

/// What is answered to a message; none: the connection is cut.
async fn take(kept: &Kept, mail: Mail) -> Option<String> {
    let mood = kept.mood.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Mood::Slow(pause) = mood {
        tokio::time::sleep(pause).await;
    }
    if let Mood::Refuses(line) = mood {
        return Some(line);
    }
    {
        let mut mails = kept.mails.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = &*kept.folder.lock().unwrap_or_else(PoisonError::into_inner) {
            // Renamed, for whoever watches the folder reads whole files.
            let (half, whole) = (folder.join("half"), folder.join(format!("{:06}.json", mails.len())));
            let written = fs::write(&half, serde_json::to_vec_pretty(&mail).ok()?);
            written.and_then(|()| fs::rename(&half, &whole)).ok()?;
        }
        mails.push(mail);
    }
    kept.count.send_modify(|count| *count += 1);
    (mood != Mood::LosesAnswer).then(|| "250 taken".to_owned())
}

/// The address between the angle brackets of MAIL and RCPT.
fn path(line: &str) -> String {
    line.split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map(|(path, _)| path.to_owned())
        .unwrap_or_default()
}

/// The message up to the dot, its stuffed dots taken off.
async fn message(lines: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut limited = lines.take(LARGEST);
    loop {
        let mut line = Vec::new();
        limited.read_until(b'\n', &mut line).await?;
        match line.as_slice() {
            b".\r\n" | b".\n" | b"" => return Ok(bytes),
            [b'.', rest @ ..] => bytes.extend_from_slice(rest),
            whole => bytes.extend_from_slice(whole),
        }
    }
}
