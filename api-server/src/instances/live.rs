//! What the cluster itself says of a resource and of its namespace now, also where this API has no rights any more: they are given in each
//! tenant's namespace, and go with it.

use crate::cluster::{CallError, Cluster};
use crds::ServiceInstance;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{Api, ResourceExt as _, api::ListParams};

/// How a namespace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// It is there.
    There,
    /// It is being deleted; something may be in it still.
    Ending,
    /// There is none, and nothing that was in it: it goes last.
    Gone,
}

/// How a namespace stands.
///
/// # Errors
/// As the call's.
pub async fn home(cluster: &Cluster, namespace: &str) -> Result<Home, CallError> {
    let found = cluster.call(async |client| Api::<Namespace>::all(client).get_opt(namespace).await).await?;
    Ok(match found {
        None => Home::Gone,
        Some(found) if found.metadata.deletion_timestamp.is_some() => Home::Ending,
        Some(_) => Home::There,
    })
}

/// A resource by its place.
///
/// # Errors
/// As the call's.
pub async fn find(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Option<ServiceInstance>, CallError> {
    let found = cluster
        .call(async |client| Api::<ServiceInstance>::namespaced(client, namespace).get_opt(name).await)
        .await;
    match found {
        // Lists of all tenants can be read without rights in the namespace.
        Err(error) if error.is(403) => {
            let at = format!("metadata.namespace={namespace},metadata.name={name}");
            among(cluster, &ListParams::default().fields(&at), namespace, name).await
        }
        found => found,
    }
}

/// A resource by its place among those that are so.
///
/// # Errors
/// As the call's.
pub async fn among(
    cluster: &Cluster,
    those: &ListParams,
    namespace: &str,
    name: &str,
) -> Result<Option<ServiceInstance>, CallError> {
    let found = cluster.call(async |client| Api::<ServiceInstance>::all(client).list(those).await).await?;
    let is_it =
        |one: &ServiceInstance| one.namespace().as_deref() == Some(namespace) && one.name_any() == name;
    Ok(found.items.into_iter().find(is_it))
}

/// Whether a pod that is labelled so is left that could run. Where the namespace is gone there is none; while it ends, and nobody may look
/// into it, there may be.
///
/// # Errors
/// As the call's.
pub async fn may_run(cluster: &Cluster, namespace: &str, label: &str) -> Result<bool, CallError> {
    let of_it = ListParams::default().labels(label);
    let pods =
        cluster.call(async |client| Api::<Pod>::namespaced(client, namespace).list(&of_it).await).await;
    let pods = match pods {
        Err(error) if error.is(403) => {
            return match home(cluster, namespace).await? {
                Home::Gone => Ok(false),
                Home::Ending => Ok(true),
                Home::There => Err(error),
            };
        }
        pods => pods?,
    };
    let may_run = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        !matches!(phase, Some("Succeeded" | "Failed"))
    };
    Ok(pods.items.iter().any(may_run))
}
