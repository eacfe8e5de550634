//! Images: pinned, and named in full.

use super::Findings;
use crate::template::validate::containers;
use crds::template::ServiceTemplateSpec;

pub(super) fn check(spec: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    for owned in containers(spec) {
        let (image, path) = (&owned.container.image, format!("{}.image", owned.path));
        if let Some(tag) = tag(image).filter(|tag| is_moving(tag)) {
            said.error(
                "image-moving-tag",
                &path,
                &format!("the tag {tag} names no exact version: its makers move it, and apps change that nobody touched"),
                "name the exact version, such as 17.11-bookworm, or a digest",
            );
        }
        let host = image.split('/').next().unwrap_or_default();
        if !image.contains('/') || !(host.contains(['.', ':']) || host == "localhost") {
            said.warning(
                "image-short-name",
                &path,
                "the image does not name its registry, which nodes and mirrors then guess",
                "name it in full, such as docker.io/library/postgres:17.11-bookworm",
            );
        }
    }
}

/// The tag; none where the image goes by a digest, which never moves.
fn tag(image: &str) -> Option<&str> {
    if image.contains('@') {
        return None;
    }
    image.rsplit('/').next()?.split_once(':').map(|(_, tag)| tag)
}

/// Whether a tag looks like one that is moved: without two parts of a version, a date or a commit.
fn is_moving(tag: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let of_version = |part: &str| {
        let part = part.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let mut numbers = part.split('.');
        let first = numbers.next().is_some_and(number);
        let second = numbers.next().is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit()));
        first && second
    };
    let of_date = |part: &str| {
        part.len() >= 6 && part.chars().filter(char::is_ascii_digit).count() >= 6
            || (part.len() >= 7
                && part.chars().all(|c| c.is_ascii_hexdigit())
                && part.contains(|c: char| c.is_ascii_digit()))
    };
    let digits = tag.chars().filter(char::is_ascii_digit).count();
    let dated = tag.contains("20") && digits >= 8;
    !dated && !tag.split(['-', '_']).any(|part| of_version(part) || of_date(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_versions_dates_and_commits_stay_and_everything_else_moves() {
        for tag in [
            "17.11-bookworm",
            "7.1.0-php8.3-apache",
            "v1.2.3",
            "cli-2.12.0-php8.3",
            "20240131",
            "sha-1a2b3c4",
            "RELEASE.2024-01-31T00-00-00Z",
            "6.59.0",
        ] {
            assert!(!is_moving(tag), "{tag}");
        }
        for tag in ["17", "17-bookworm", "lts", "v2", "alpine", "8", "current", "bookworm"] {
            assert!(is_moving(tag), "{tag}");
        }
        assert_eq!(tag("localhost:5000/app"), None);
        assert_eq!(tag("localhost:5000/app:1.2"), Some("1.2"));
    }
}
