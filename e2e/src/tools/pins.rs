//! The pins: what is built, from which files, under which names.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::repository;

/// One module under `e2e/tools/` and the program built from it.
#[derive(Debug)]
pub(super) struct Pin {
    /// The folder's name, and the built file's.
    pub(super) name: &'static str,
    /// The package to build.
    pub(super) package: &'static str,
    /// The module whose version the program is to report, and the variable that holds it.
    pub(super) version: (&'static str, &'static str),
    /// Further names the program is called by: links to it.
    pub(super) names: &'static [&'static str],
    /// Packages in the build, roughly; for the progress line.
    pub(super) packages: usize,
    /// Free disk space a cold build needs, in bytes.
    pub(super) disk: u64,
    go_mod: &'static str,
    files: &'static [&'static str],
}

const MIB: u64 = 1024 * 1024;

pub(super) const KUBERNETES: Pin = Pin {
    name: "kubernetes",
    package: ".",
    version: ("k8s.io/kubernetes", "k8s.io/component-base/version.gitVersion"),
    names: &[
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
        "kubectl",
        "kubelet",
    ],
    packages: 2600,
    disk: 6 * 1024 * MIB,
    go_mod: include_str!("../../tools/kubernetes/go.mod"),
    files: &[include_str!("../../tools/kubernetes/go.sum"), include_str!("../../tools/kubernetes/main.go")],
};

pub(super) const ETCD: Pin = Pin {
    name: "etcd",
    package: "go.etcd.io/etcd/server/v3",
    version: ("", ""),
    names: &[],
    packages: 580,
    disk: 1024 * MIB,
    go_mod: include_str!("../../tools/etcd/go.mod"),
    files: &[include_str!("../../tools/etcd/go.sum")],
};

pub(super) const KWOK: Pin = Pin {
    name: "kwok",
    package: "sigs.k8s.io/kwok/cmd/kwok",
    version: ("", ""),
    names: &[],
    packages: 970,
    disk: 1024 * MIB,
    go_mod: include_str!("../../tools/kwok/go.mod"),
    files: &[include_str!("../../tools/kwok/go.sum")],
};

pub(super) const HELM: Pin = Pin {
    name: "helm",
    package: "helm.sh/helm/v4/cmd/helm",
    version: ("helm.sh/helm/v4", "helm.sh/helm/v4/internal/version.version"),
    names: &[],
    packages: 1180,
    disk: 1024 * MIB,
    go_mod: include_str!("../../tools/helm/go.mod"),
    files: &[include_str!("../../tools/helm/go.sum")],
};

pub(super) const METRICS_SERVER: Pin = Pin {
    name: "metrics-server",
    package: "sigs.k8s.io/metrics-server/cmd/metrics-server",
    version: ("", ""),
    names: &[],
    packages: 1330,
    disk: 1024 * MIB,
    go_mod: include_str!("../../tools/metrics-server/go.mod"),
    files: &[include_str!("../../tools/metrics-server/go.sum")],
};

pub(super) const COREDNS: Pin = Pin {
    name: "coredns",
    package: ".",
    version: ("", ""),
    names: &[],
    packages: 700,
    disk: 1024 * MIB,
    go_mod: include_str!("../../tools/coredns/go.mod"),
    files: &[include_str!("../../tools/coredns/go.sum"), include_str!("../../tools/coredns/main.go")],
};

pub(super) const KUBE_ROUTER: Pin = Pin {
    name: "kube-router",
    package: "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
    version: ("", ""),
    names: &[],
    packages: 900,
    disk: 1024 * MIB,
    go_mod: include_str!("../../tools/kube-router/go.mod"),
    files: &[include_str!("../../tools/kube-router/go.sum")],
};

pub(super) const LOCAL_PATH: Pin = Pin {
    name: "local-path-provisioner",
    package: "github.com/rancher/local-path-provisioner",
    version: ("", ""),
    names: &[],
    packages: 700,
    disk: 1024 * MIB,
    go_mod: include_str!("../../tools/local-path-provisioner/go.mod"),
    files: &[include_str!("../../tools/local-path-provisioner/go.sum")],
};

pub(super) const TRAEFIK: Pin = Pin {
    name: "traefik",
    package: "github.com/traefik/traefik/v3/cmd/traefik",
    version: ("", ""),
    names: &[],
    packages: 2300,
    disk: 4 * 1024 * MIB,
    go_mod: include_str!("../../tools/traefik/go.mod"),
    files: &[include_str!("../../tools/traefik/go.sum")],
};

impl Pin {
    /// What tells one set of pins from another: the hash of the files that decide the build.
    pub(super) fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for text in [self.go_mod].iter().chain(self.files) {
            hash.update(text.as_bytes());
            hash.update([0]);
        }
        let digest = hash.finalize();
        format!("{:012x}", digest.iter().take(6).fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The linker's flags: no symbol tables, and the version where the program reports one.
    pub(super) fn linker_flags(&self) -> String {
        let (module, variable) = self.version;
        match version_of(self.go_mod, module) {
            Some(version) => format!("-s -w -X {variable}={version}"),
            None => "-s -w".to_owned(),
        }
    }

    /// The folder with the pins: beside the sources this program was built from.
    pub(super) fn source(&self) -> PathBuf {
        repository::root().join("e2e/tools").join(self.name)
    }
}

/// The version `go.mod` pins `module` at.
fn version_of<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        (words.next() == Some(module)).then(|| words.next()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::{HELM, KUBERNETES, version_of};

    #[test]
    fn programs_report_the_pinned_version() {
        assert!(KUBERNETES.linker_flags().contains("gitVersion=v1."), "{}", KUBERNETES.linker_flags());
        assert!(HELM.linker_flags().contains("version.version=v"), "{}", HELM.linker_flags());
    }

    #[test]
    fn an_unpinned_module_has_no_version() {
        assert_eq!(version_of("require a.b/c v1.2.3\n", "a.b/c"), Some("v1.2.3"));
        assert_eq!(version_of("require a.b/c v1.2.3\n", "a.b"), None);
    }

    #[test]
    fn pins_have_different_hashes() {
        assert_ne!(KUBERNETES.hash(), HELM.hash());
        assert_eq!(KUBERNETES.hash().len(), 12);
    }
}
