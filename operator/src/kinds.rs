//! The kinds of child objects: one table of where each lives in the API.

use kube::core::ApiResource;

/// A kind of object that the operator makes or watches beside its own four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the kinds of Kubernetes by their own names")]
pub enum Kind {
    Namespace,
    RoleBinding,
    NetworkPolicy,
    ResourceQuota,
    LimitRange,
    Secret,
    PersistentVolumeClaim,
    ConfigMap,
    Service,
    StatefulSet,
    Deployment,
    Ingress,
    Job,
    Pod,
}

impl Kind {
    /// What is watched: everything but Secrets, which nobody may list across the cluster.
    pub const WATCHED: [Self; 13] = [
        Self::Namespace,
        Self::RoleBinding,
        Self::NetworkPolicy,
        Self::ResourceQuota,
        Self::LimitRange,
        Self::PersistentVolumeClaim,
        Self::ConfigMap,
        Self::Service,
        Self::StatefulSet,
        Self::Deployment,
        Self::Ingress,
        Self::Job,
        Self::Pod,
    ];

    /// What is deleted when it is no longer built. Data is not: it outlives its instance.
    pub fn is_prunable(self) -> bool {
        matches!(
            self,
            Self::NetworkPolicy
                | Self::ConfigMap
                | Self::Service
                | Self::Ingress
                | Self::Job
                | Self::StatefulSet
                | Self::Deployment
        )
    }

    /// Whether it makes pods.
    pub fn is_workload(self) -> bool {
        matches!(self, Self::StatefulSet | Self::Deployment)
    }

    /// Whether its objects live in no namespace.
    pub fn is_cluster_scoped(self) -> bool {
        self == Self::Namespace
    }

    /// The kind's name.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Group, version, kind and plural, as the client wants them.
    pub fn resource(self) -> ApiResource {
        let (kind, group, version, plural) = self.row();
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        ApiResource {
            group: group.into(),
            version: version.into(),
            api_version,
            kind: kind.into(),
            plural: plural.into(),
        }
    }

    fn row(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Namespace => ("Namespace", "", "v1", "namespaces"),
            Self::RoleBinding => ("RoleBinding", "rbac.authorization.k8s.io", "v1", "rolebindings"),
            Self::NetworkPolicy => ("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies"),
            Self::ResourceQuota => ("ResourceQuota", "", "v1", "resourcequotas"),
            Self::LimitRange => ("LimitRange", "", "v1", "limitranges"),
            Self::Secret => ("Secret", "", "v1", "secrets"),
            Self::PersistentVolumeClaim => ("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"),
            Self::ConfigMap => ("ConfigMap", "", "v1", "configmaps"),
            Self::Service => ("Service", "", "v1", "services"),
            Self::StatefulSet => ("StatefulSet", "apps", "v1", "statefulsets"),
            Self::Deployment => ("Deployment", "apps", "v1", "deployments"),
            Self::Ingress => ("Ingress", "networking.k8s.io", "v1", "ingresses"),
            Self::Job => ("Job", "batch", "v1", "jobs"),
            Self::Pod => ("Pod", "", "v1", "pods"),
        }
    }
}
