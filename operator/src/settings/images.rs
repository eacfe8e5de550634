//! Where images are pulled from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The registry that an image without one is pulled from (the default of every container runtime).
const DEFAULT_REGISTRY: &str = "docker.io";
/// The folder of that registry's official images, left out of their short names.
const OFFICIAL: &str = "library";

/// Where images are pulled from.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Images {
    /// Registries to be asked instead, by the registry that a template names: `docker.io: registry.example.test/hub` pulls
    /// `postgres:17.11` from `registry.example.test/hub/library/postgres:17.11`. `"*"` stands for every other registry, whose
    /// name becomes the first folder.
    #[serde(default)]
    pub mirrors: BTreeMap<String, String>,
}

impl Images {
    /// The image to pull for one that a template names.
    pub fn resolve(&self, image: &str) -> String {
        if self.mirrors.is_empty() {
            return image.to_owned();
        }
        let (registry, path) = split(image);
        match (self.mirrors.get(registry), self.mirrors.get("*")) {
            (Some(mirror), _) => format!("{mirror}/{path}"),
            (None, Some(mirror)) => format!("{mirror}/{registry}/{path}"),
            (None, None) => image.to_owned(),
        }
    }

    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<String> {
        let is_place = |text: &str| {
            let allowed = |c: char| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | '/' | ':')
            };
            let whole = !text.starts_with(['/', '.', '-', ':']) && !text.ends_with(['/', '.', '-', ':']);
            whole && !text.is_empty() && text.chars().all(allowed) && !text.contains("//")
        };
        self.mirrors.iter().find(|(from, to)| !(*from == "*" || is_place(from)) || !is_place(to)).map(|(from, to)| {
            format!(
                "images.mirrors: {from:?}: {to:?} must lead from a registry to a registry and a folder, such as docker.io: \
                 registry.example.test/hub"
            )
        })
    }
}

/// Registry and path of an image, its short forms written out.
fn split(image: &str) -> (&str, String) {
    let first = image.split_once('/');
    match first.filter(|(host, _)| host.contains(['.', ':']) || *host == "localhost") {
        Some((DEFAULT_REGISTRY, rest)) if !rest.contains('/') => {
            (DEFAULT_REGISTRY, format!("{OFFICIAL}/{rest}"))
        }
        Some((host, rest)) => (host, rest.to_owned()),
        None if first.is_none() => (DEFAULT_REGISTRY, format!("{OFFICIAL}/{image}")),
        None => (DEFAULT_REGISTRY, image.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(pairs: &[(&str, &str)]) -> Images {
        Images { mirrors: pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect() }
    }

    #[test]
    fn an_image_is_pulled_from_the_mirror_of_its_registry() {
        let images = images(&[("docker.io", "r.test/hub"), ("*", "r.test/other")]);
        for (image, pulled) in [
            ("postgres:17.11", "r.test/hub/library/postgres:17.11"),
            ("docker.io/library/postgres:17.11", "r.test/hub/library/postgres:17.11"),
            ("docker.io/postgres:17.11", "r.test/hub/library/postgres:17.11"),
            ("n8nio/n8n:2.40.7", "r.test/hub/n8nio/n8n:2.40.7"),
            ("docker.n8n.io/n8nio/n8n:2.40.7", "r.test/other/docker.n8n.io/n8nio/n8n:2.40.7"),
            ("localhost:5000/a:1.0", "r.test/other/localhost:5000/a:1.0"),
        ] {
            assert_eq!(images.resolve(image), pulled);
        }
    }

    #[test]
    fn without_a_mirror_it_stays_as_the_template_says() {
        assert_eq!(Images::default().resolve("postgres:17.11"), "postgres:17.11");
        assert_eq!(images(&[("quay.io", "r.test/q")]).resolve("postgres:17.11"), "postgres:17.11");
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        assert!(images(&[("docker.io", "r.test/hub"), ("*", "r.test")]).problem().is_none());
        for bad in ["https://r.test", "r.test/", "", "R.test", "r test"] {
            assert!(images(&[("docker.io", bad)]).problem().is_some(), "{bad}");
        }
    }
}
