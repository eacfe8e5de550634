//! Images: pinned, named in full, and of the version that the template says.

use super::Findings;
use crate::template::validate::{Owned, containers};
use crds::template::ServiceTemplateSpec;

/// Makers whose whole version has two numbers, by what the name of their image begins with.
const TWO_NUMBERS: [&str; 3] = ["postgres", "postgis", "debian"];

pub(super) fn check(spec: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    let http = spec.expose.http.as_ref().map(|one| &one.component);
    let exposed = http.or_else(|| spec.expose.tcp.as_ref().map(|one| &one.component));
    for owned in containers(spec) {
        let (image, path) = (&owned.container.image, format!("{}.image", owned.path));
        // The version of the template is that of the image that people reach.
        let reached = owned.component.is_some_and(|one| Some(&one.name) == exposed)
            && !owned.path.contains(".initContainers");
        if let Some(tag) = tag(image) {
            let version = reached.then_some(spec.version.as_str());
            check_tag(&path, image, tag, version, said);
        }
        check_name(&owned, &path, said);
    }
}

fn check_name(owned: &Owned<'_>, path: &str, said: &mut Findings<'_>) {
    let image = &owned.container.image;
    let host = image.split('/').next().unwrap_or_default();
    if !image.contains('/') || !(host.contains(['.', ':']) || host == "localhost") {
        let library = if image.contains('/') { "" } else { "library/" };
        said.warning(
            "image-short-name",
            path,
            "the image does not name its registry, which nodes and mirrors then guess",
            &format!("name it in full; on Docker Hub that is docker.io/{library}{image}"),
        );
    }
}

fn check_tag(path: &str, image: &str, tag: &str, version: Option<&str>, said: &mut Findings<'_>) {
    let whole = version.filter(|version| is_coarser(tag, version));
    if is_moving(tag) || whole.is_some() {
        said.error(
            "image-moving-tag",
            path,
            &format!("the tag {tag} names no exact version: its makers move it, and apps change that nobody touched"),
            &format!(
                "name the exact version, such as {}, or a digest; the registry's list of tags shows what there is",
                example(image, tag, version)
            ),
        );
        return;
    }
    let has_two = numbers(tag).is_some_and(|numbers| numbers.split('.').count() == 2);
    if has_two && !has_two_numbers(image) {
        said.warning(
            "image-two-numbers",
            path,
            &format!(
                "the tag {tag} has two numbers, and most makers move such a tag to their newest correction"
            ),
            &format!(
                "name the exact version, such as {}, or accept this with the reason why {tag} is one",
                example(image, tag, version)
            ),
        );
    }
    let differs = version.zip(numbers(tag)).filter(|(version, tag)| !agree(bare(version), tag));
    if let Some((version, _)) = differs {
        said.warning(
            "version-differs",
            path,
            &format!("the template says that it is version {version}, and the image is tagged {tag}"),
            "write the version that the image carries to spec.version; 1.24 agrees with 1.24.6",
        );
    }
}

/// The numbers of the version in a tag: `1.24.6` of `v1.24.6-rootless`.
fn numbers(tag: &str) -> Option<&str> {
    tag.split(['-', '_', '+']).map(bare).find(|part| {
        let mut numbers = part.split('.');
        let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        part.contains('.') && numbers.all(is_number)
    })
}

/// A version without the letters that some write before it, and without what follows its numbers.
fn bare(version: &str) -> &str {
    let version = version.trim().trim_start_matches(|c: char| c.is_ascii_alphabetic());
    version.split(['-', '_', '+', ' ']).next().unwrap_or_default()
}

/// Whether two versions can be the same: number by number, as far as both go.
fn agree(one: &str, other: &str) -> bool {
    one.split('.').zip(other.split('.')).all(|(one, other)| one == other)
}

/// Whether a tag has fewer numbers than the version that its template names, and agrees with it.
fn is_coarser(tag: &str, version: &str) -> bool {
    let first = tag.split(['-', '_', '+']).next().map(bare).unwrap_or_default();
    let tag = numbers(tag).unwrap_or(first);
    let count = |text: &str| text.split('.').count();
    !tag.is_empty() && agree(tag, bare(version)) && count(tag) < count(bare(version))
}

/// The image with a tag that would do: its own with the numbers that are missing, by the template's version where that
/// is known.
fn example(image: &str, tag: &str, version: Option<&str>) -> String {
    let name = image.strip_suffix(tag).unwrap_or(image);
    let (first, variant) = tag.find(['-', '_', '+']).map_or((tag, ""), |at| tag.split_at(at));
    let letters = first.len() - first.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
    let (mut letters, digits) = first.split_at(letters);
    let is_word = digits.is_empty();
    let version = version.map(bare).filter(|version| is_word || is_coarser(digits, version));
    let mut whole = version.unwrap_or(digits).to_owned();
    if is_word {
        // A word such as latest is no part of an exact tag.
        letters = "";
    }
    let missing: &[&str] = match whole.split('.').filter(|number| !number.is_empty()).count() {
        0 => &["1.2.6"],
        1 if has_two_numbers(image) => &[".11"],
        1 => &[".2", ".6"],
        2 if !has_two_numbers(image) => &[".6"],
        _ => &[],
    };
    whole.extend(missing.iter().copied());
    format!("{name}{letters}{whole}{}", if is_word { "" } else { variant })
}

/// Whether the whole version of what is in this image has two numbers.
fn has_two_numbers(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    TWO_NUMBERS.iter().any(|maker| name.starts_with(maker))
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
        for tag in ["17.11-bookworm", "1.24"] {
            assert!(!is_moving(tag), "{tag}: by its looks alone");
        }
        assert_eq!(tag("localhost:5000/app"), None);
        assert_eq!(tag("localhost:5000/app:1.2"), Some("1.2"));
    }

    #[test]
    fn a_version_agrees_with_a_tag_as_far_as_both_go() {
        for (version, tag) in [
            ("1.24", "1.24.6"),
            ("1.24.6", "v1.24.6-rootless"),
            ("7.1.0", "7.1.0-php8.3-apache"),
            ("6", "6.59.0"),
        ] {
            assert!(agree(bare(version), numbers(tag).unwrap()), "{version} and {tag}");
            assert!(!is_coarser(tag, version), "{tag} for {version}");
        }
        for (version, tag) in [("1.24", "1.25.0"), ("1.2", "1.24.6"), ("17.11", "17.10-bookworm")] {
            assert!(!agree(bare(version), numbers(tag).unwrap()), "{version} and {tag}");
        }
        for (version, tag) in [("1.24.6", "1.24"), ("1.24.6", "v1.24-rootless"), ("1.24.6", "1")] {
            assert!(is_coarser(tag, version), "{tag} for {version}");
        }
        assert!(!is_coarser("latest", "1.24.6") && !is_coarser("20240131", "1.24.6"));
    }

    #[test]
    fn the_example_for_a_moving_tag_is_of_the_same_image() {
        for (image, version, expected) in [
            (
                "docker.gitea.com/gitea:1.24-rootless",
                Some("1.24.6"),
                "docker.gitea.com/gitea:1.24.6-rootless",
            ),
            ("docker.gitea.com/gitea:v1", Some("1.24.6"), "docker.gitea.com/gitea:v1.24.6"),
            ("docker.gitea.com/gitea:latest", Some("1.24.6"), "docker.gitea.com/gitea:1.24.6"),
            ("docker.io/library/mysql:8", None, "docker.io/library/mysql:8.2.6"),
            ("docker.io/library/mysql:8.4-oracle", None, "docker.io/library/mysql:8.4.6-oracle"),
            ("docker.io/library/mysql:lts", None, "docker.io/library/mysql:1.2.6"),
            ("docker.io/library/postgres:17-bookworm", None, "docker.io/library/postgres:17.11-bookworm"),
            ("docker.io/library/nginx:1.28", Some("1.28"), "docker.io/library/nginx:1.28.6"),
            ("docker.io/library/nginx:latest", Some("1.28"), "docker.io/library/nginx:1.28.6"),
        ] {
            assert_eq!(example(image, tag(image).unwrap(), version), expected);
        }
    }
}
