//! Images without a registry: built here from packages of Debian and npm by the recipes under `e2e/images`, each once, and kept in
//! the cache. They bear the names that the templates ask for below a mirror of their own, so that none pretends to be the
//! official one.

use std::fs;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::story::Story;
use crate::tools::cache_dir;
use crate::{disk, repository};

/// Where what Docker Hub has is taken from; and what any other registry has, below its name.
const MIRROR: &str = "nakhoda.local";
const HUB: &str = "nakhoda.local/hub";
/// Space for one build, in bytes.
const ROOM: u64 = 4 * disk::GIB;

/// A recipe, and the name under which its image is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// The recipe's folder.
    pub recipe: &'static str,
    /// What a template calls it, or this harness.
    pub name: &'static str,
}

/// What the node itself takes.
pub(super) const GROUND: [Image; 2] = [
    Image { recipe: "pause", name: super::containerd::PAUSE },
    Image { recipe: "busybox", name: super::storage::HELPER },
];

/// What the templates of the catalogue name.
pub const CATALOGUE: [Image; 6] = [
    Image { recipe: "postgres", name: "docker.io/library/postgres:17.11-bookworm" },
    Image { recipe: "mysql", name: "docker.io/library/mysql:8.4.11" },
    Image { recipe: "wordpress", name: "docker.io/library/wordpress:7.1.0-php8.3-apache" },
    Image { recipe: "wordpress-cli", name: "docker.io/library/wordpress:cli-2.12.0-php8.3" },
    Image { recipe: "ghost", name: "docker.io/library/ghost:6.59.0-bookworm" },
    Image { recipe: "n8n", name: "docker.n8n.io/n8nio/n8n:2.40.7" },
];

/// An image that is built.
#[derive(Clone, Debug)]
pub struct Archive {
    /// The name under which pods find it.
    pub(super) name: String,
    /// The archive, as an OCI layout.
    pub(super) path: PathBuf,
}

/// What the setting `images.mirrors` of the operator must be.
pub(super) fn mirrors() -> Value {
    json!({"docker.io": HUB, "*": MIRROR})
}

impl Image {
    /// The image's name below the mirror.
    fn mirrored(&self) -> String {
        match self.name.split_once('/') {
            Some((MIRROR, _)) | None => self.name.to_owned(),
            Some(("docker.io", path)) => format!("{HUB}/{path}"),
            Some(_) => format!("{MIRROR}/{}", self.name),
        }
    }

    /// Builds it, if the cache does not have it, and tells how large it is and what is in it.
    pub(super) fn built(&self, story: Story) -> Result<Archive> {
        let recipes = repository::root().join("e2e/images");
        let folder = cache_dir()?.join("images");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join(format!("{}-{}.tar", self.recipe, hash(&recipes, self)?));
        if !path.exists() {
            // One at a time: they share what they are built on.
            let lock = File::create(folder.join("lock"))?;
            lock.lock()?;
            if !path.exists() {
                disk::require_free(&folder, ROOM, &format!("building the image {}", self.recipe))?;
                self.build(&recipes, &folder, &path, story)?;
            }
        }
        Ok(Archive { name: self.mirrored(), path })
    }

    fn build(&self, recipes: &Path, folder: &Path, path: &Path, story: Story) -> Result<()> {
        story.step(format!("image {}: building it from packages (once; kept in the cache)", self.name));
        let start = Instant::now();
        let log = folder.join(format!("{}.log", self.recipe));
        let output = File::create(&log)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(recipes.join("build"));
        command.arg(self.recipe).arg(self.mirrored()).arg(folder).arg(path);
        let status = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .status()
            .context("cannot run the recipe")?;
        if !status.success() {
            bail!(
                "the image {}: {status}; the last lines of {}:\n{}",
                self.recipe,
                log.display(),
                crate::process::tail(&log, 15)
            );
        }
        let (megabytes, seconds) = (fs::metadata(path)?.len() / 1_000_000, start.elapsed().as_secs());
        let holds = fs::read_to_string(path.with_extension("holds")).unwrap_or_default();
        story.step(format!("image {}: {megabytes} MB in {seconds} s; it holds {}", self.name, holds.trim()));
        Ok(())
    }
}

/// What tells one state of a recipe from another: its files, those that all recipes share, and the name.
fn hash(recipes: &Path, image: &Image) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(image.mirrored().as_bytes());
    for folder in [recipes.to_owned(), recipes.join(image.recipe)] {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut files: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        files.sort();
        for file in files {
            hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
            hash.update([0]);
            hash.update(fs::read(&file)?);
            hash.update([0]);
        }
    }
    let digest = hash.finalize();
    Ok(format!("{:012x}", digest.iter().take(6).fold(0_u64, |number, byte| number << 8 | u64::from(*byte))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_below_the_mirror_and_pass_for_no_other() {
        let name = |name| Image { recipe: "", name }.mirrored();
        assert_eq!(name("docker.io/library/mysql:8.4.11"), "nakhoda.local/hub/library/mysql:8.4.11");
        assert_eq!(name("docker.n8n.io/n8nio/n8n:2.40.7"), "nakhoda.local/docker.n8n.io/n8nio/n8n:2.40.7");
        assert_eq!(name("nakhoda.local/pause:1"), "nakhoda.local/pause:1");
    }

    #[test]
    fn the_templates_name_no_other_image_than_there_are_recipes_for() {
        let catalogue = repository::root().join("config/catalog");
        for file in fs::read_dir(catalogue).unwrap().flatten() {
            for line in fs::read_to_string(file.path()).unwrap().lines() {
                if let Some(image) = line.trim().strip_prefix("image: ") {
                    assert!(CATALOGUE.iter().any(|known| known.name == image), "{image}");
                }
            }
        }
    }
}
