//! Changes of resources: which fields of a spec are to be others, and how these are called here.

use super::problem::{Problem, Result};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// What a change says of a field that may also be none.
#[derive(Debug, Default)]
pub enum Given<T> {
    /// Nothing.
    #[default]
    Unsaid,
    /// What it is to be.
    As(Option<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        Option::deserialize(reader).map(Self::As)
    }
}

/// Fields of a spec that are to be changed.
#[derive(Debug, Default)]
pub struct Changes(pub Map<String, Value>);

impl Changes {
    /// A value that is given; none leaves the field as it is.
    ///
    /// # Errors
    /// Where it can't be written as JSON, which is a mistake of ours.
    pub fn set<T: Serialize>(&mut self, field: &str, value: Option<T>) -> Result<()> {
        if let Some(value) = value {
            let value = serde_json::to_value(value).map_err(|error| Problem::internal(&error))?;
            self.0.insert(field.to_owned(), value);
        }
        Ok(())
    }

    /// None takes it away.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn set_or_take<T: Serialize>(&mut self, field: &str, given: Given<T>) -> Result<()> {
        match given {
            Given::Unsaid => Ok(()),
            Given::As(value) => self.set(field, Some(value)),
        }
    }
}

/// A word of the resources as the API writes it.
pub fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_resources_are_written_as_the_api_writes_them() {
        assert_eq!(snake_case("displayName"), "display_name");
        assert_eq!(snake_case("price.taxInclusive"), "price.tax_inclusive");
    }
}
