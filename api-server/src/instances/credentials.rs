//! What the customer is shown to log in: read from the cluster at the moment it is asked for, kept nowhere, and in no log.

use super::own::Own;
use crate::{
    audit::{self, Actor, Entry},
    cluster::CallError,
    http::problem::{Code, Problem},
    state::State,
};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use secrecy::SecretString;
use serde_json::json;

/// What the audit log calls it.
const SHOWN: &str = "instance.show_credentials";
/// What is said before there are any.
const NOT_YET: &str = "They are made with the app: come back once it is there.";

/// Something to log in with.
#[derive(Clone, Debug)]
pub struct Credential {
    /// What the app's template calls it.
    pub name: String,
    /// What a page calls it.
    pub display_name: String,
    /// Whether a page hides it until asked.
    pub is_sensitive: bool,
    /// It.
    pub value: SecretString,
}

/// Reads what an app's owner logs in with, after a line in the audit log.
///
/// # Errors
/// 409 before there is anything to show; 503 where the cluster is away.
pub async fn show(state: &State, own: &Own, actor: &Actor) -> Result<Vec<Credential>, Problem> {
    let not_yet = || Problem::with(Code::InstanceNotReady, NOT_YET);
    let resource = own.resource.as_ref().ok_or_else(not_yet)?;
    let status = resource.status.as_ref().ok_or_else(not_yet)?;
    let secret = status.credentials_secret_ref.as_ref().ok_or_else(not_yet)?;
    let id = own.id.to_string();
    let (after, entity_type) = (Some(json!({"secret": secret.name})), "instance");
    let entry = Entry { action: SHOWN, entity_type, entity_id: &id, before: None, after, reason: None };
    let mut connection = state.db.acquire().await?;
    audit::record(&mut connection, actor, entry, state.clock.now()).await?;
    drop(connection);
    let (namespace, _) = own.place();
    let found = state
        .cluster
        .call(async |client| Api::<Secret>::namespaced(client, &namespace).get_opt(&secret.name).await)
        .await;
    // It was replaced a moment ago, and what is known here is older.
    let found = found.map_err(refused)?.ok_or_else(not_yet)?;
    let templates = state.cluster.watches().templates.last_known()?;
    let template = status.template.as_ref().and_then(|name| templates.named(name));
    let named = template.map(|template| template.spec.credentials.clone()).unwrap_or_default();
    let values = found.data.unwrap_or_default();
    let shown = named.into_iter().filter_map(|one| {
        let value = String::from_utf8(values.get(&one.name)?.0.clone()).ok()?;
        let display_name = if one.display_name.is_empty() { one.name.clone() } else { one.display_name };
        Some(Credential { name: one.name, display_name, is_sensitive: one.sensitive, value: value.into() })
    });
    Ok(shown.collect())
}

/// The rights in a tenant's namespace may be some moments old: that is no mistake of ours.
fn refused(error: CallError) -> Problem {
    if error.is(403) { Problem::with(Code::InstanceNotReady, NOT_YET) } else { error.into() }
}
