//! The book as a file: a line for each change of an order, the order as it was then; the last one counts. Starting writes it anew, one line
//! an order. What was still to be delivered isn't kept.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::book::Book;
use super::order::Order;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Order(Box<Order>),
    Ahead(i64),
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum LineOf<'a> {
    Order(&'a Order),
    Ahead(i64),
}

/// The open file.
#[derive(Debug)]
pub struct Store(BufWriter<File>);

/// What was found in a file.
#[derive(Debug, Default)]
pub struct Found {
    /// The orders.
    pub book: Book,
    /// How far ahead the clock was, in microseconds.
    pub ahead: i64,
}

impl Store {
    /// Reads the file, if there is one, and opens it for what comes.
    pub fn open(path: &Path) -> Result<(Self, Found)> {
        let mut found = if path.exists() { read(path)? } else { Found::default() };
        found.book.changed = Some(Vec::new());
        let half = path.with_extension("half");
        let mut store =
            Self(BufWriter::new(File::create(&half).with_context(|| half.display().to_string())?));
        store.clock(found.ahead)?;
        found.book.orders().try_for_each(|order| store.write(&LineOf::Order(order)))?;
        store.0.flush()?;
        fs::rename(&half, path)?;
        let appended = OpenOptions::new().append(true).open(path)?;
        Ok((Self(BufWriter::new(appended)), found))
    }

    /// Writes down the orders that changed.
    pub fn keep(&mut self, book: &mut Book) -> Result<()> {
        let mut changed = book.changed.replace(Vec::new()).unwrap_or_default();
        changed.sort_unstable();
        changed.dedup();
        for order in changed.iter().filter_map(|id| book.order(id)) {
            self.write(&LineOf::Order(order))?;
        }
        if !changed.is_empty() {
            self.0.flush()?;
        }
        Ok(())
    }

    /// Writes down where the clock is.
    pub fn clock(&mut self, ahead: i64) -> Result<()> {
        self.write(&LineOf::Ahead(ahead))?;
        Ok(self.0.flush()?)
    }

    fn write(&mut self, line: &LineOf<'_>) -> Result<()> {
        serde_json::to_writer(&mut self.0, line)?;
        Ok(self.0.write_all(b"\n")?)
    }
}

/// A last line that was cut off by the end of the program is left out.
fn read(path: &Path) -> Result<Found> {
    let mut found = Found::default();
    let mut lines = BufReader::new(File::open(path)?).lines().peekable();
    while let Some(line) = lines.next() {
        match serde_json::from_str(&line?) {
            Ok(Line::Order(order)) => found.book.restore(*order),
            Ok(Line::Ahead(ahead)) => found.ahead = ahead,
            Err(_) if lines.peek().is_none() => {}
            Err(error) => return Err(error).with_context(|| format!("{} isn't a book", path.display())),
        }
    }
    Ok(found)
}
