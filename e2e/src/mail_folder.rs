//! The folder in which a mail catcher keeps what it takes, read by whoever is another process.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::mail_catcher::Mail;
use crate::wait;

/// A folder of mails, each a JSON file named by its number.
#[derive(Clone, Debug)]
pub struct MailFolder(PathBuf);

impl MailFolder {
    /// The mails in this folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The mails to an address, in the order they came.
    pub fn mails_to(&self, address: &str) -> Result<Vec<Mail>> {
        let entries = fs::read_dir(&self.0).with_context(|| format!("no mails in {}", self.0.display()))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        // The one that is being written has no such name yet.
        files.retain(|file| file.extension().is_some_and(|ends| ends == "json"));
        files.sort();
        let mut mails = Vec::new();
        for file in files {
            let mail: Mail = serde_json::from_slice(&fs::read(&file)?)
                .with_context(|| format!("{} is no mail", file.display()))?;
            if mail.to.iter().any(|to| to == address) {
                mails.push(mail);
            }
        }
        Ok(mails)
    }

    /// Waits for the `nth` mail to an address, from 1 on.
    pub async fn nth_to(&self, address: &str, nth: usize, bound: Duration) -> Result<Mail> {
        wait::until(&format!("mail {nth} to {address}"), bound, async || {
            Ok(self.mails_to(address)?.into_iter().nth(nth - 1))
        })
        .await
    }
}
