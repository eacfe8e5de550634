//! YAML files of several documents.

use serde_json::Value;

/// The largest file that is read, in bytes. The API server takes less.
pub const MAX_BYTES: usize = 4 << 20;

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The file; `-` for what came by standard input.
    pub file: String,
    /// Which of its documents, from 1.
    pub number: usize,
    /// What it says.
    pub value: Value,
}

impl Document {
    /// What it is, by its own words; empty where it doesn't say.
    pub fn kind(&self) -> &str {
        let ours =
            self.value["apiVersion"].as_str().is_some_and(|version| version.starts_with("nakhoda.dev/"));
        let kind = self.value["kind"].as_str().unwrap_or("document without a kind");
        if ours || !matches!(kind, "ServiceTemplate" | "ServicePlan") {
            kind
        } else {
            "resource of another group"
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }
}

/// Why an input can't be looked at.
#[derive(Debug, thiserror::Error)]
pub enum UnusableError {
    /// It can't be read.
    #[error("{file}: can't be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is no YAML, or has a key twice.
    #[error("{file}: is no YAML that kubectl would take: {source}")]
    Yaml {
        /// The file.
        file: String,
        /// Where and why.
        source: Box<serde_saphyr::Error>,
    },
    /// It is larger than any resource may be.
    #[error("{file}: is larger than 4 MiB; the API server takes less")]
    TooLarge {
        /// The file.
        file: String,
    },
    /// There is nothing in it to look at.
    #[error("there is no ServiceTemplate and no ServicePlan of nakhoda.dev in what was given")]
    Nothing,
}

/// The documents of a file's text; empty ones are left out.
///
/// # Errors
/// When it is no YAML, has a key twice, or is too large.
pub fn read(file: &str, text: &str) -> Result<Vec<Document>, UnusableError> {
    if text.len() > MAX_BYTES {
        return Err(UnusableError::TooLarge { file: file.to_owned() });
    }
    let options = serde_saphyr::options! { with_snippet: false };
    let values: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|source| UnusableError::Yaml { file: file.to_owned(), source: Box::new(source) })?;
    let numbered = values.into_iter().enumerate().filter(|(_, value)| !value.is_null());
    Ok(numbered.map(|(index, value)| Document { file: file.to_owned(), number: index + 1, value }).collect())
}
