//! The thin executor: one operation, one call. What the API server answers goes into the cache, so that the next round
//! sees it.

use super::{
    build::{Generated, Object},
    plan::Operation,
};
use crate::{
    apply::{CallError, Cluster, Seen},
    cache::ChildCache,
    clock, digest,
    observed::{Child, Key},
};
use crds::{labels, template::SecretType};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Instant};

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &[u8] = b"0123456789abcdef";
const BCRYPT_COST: u32 = 10;

/// Does one operation.
///
/// # Errors
/// As the call's.
pub async fn execute(
    cluster: &Cluster,
    children: &ChildCache,
    operation: &Operation,
) -> Result<(), CallError> {
    match operation {
        Operation::Generate(secret) => {
            let object = generate(secret).await?;
            created(cluster.create(&secret.key, &object).await)
        }
        Operation::Create(object) => match cluster.get(&object.key).await? {
            Some(live) if is_ours(&live, &object.object) => Ok(()),
            Some(_) => Err(taken(&object.key)),
            None => {
                let answer = cluster.create(&object.key, &object.object).await?;
                remember(children, &object.key, &answer);
                Ok(())
            }
        },
        Operation::Apply { object, seen: Some(seen) } if object.held => {
            let answer = apply_held(cluster, object, seen).await?;
            remember(children, &object.key, &answer);
            Ok(())
        }
        Operation::Apply { object, seen } => {
            let answer = apply(cluster, object, seen.as_deref()).await?;
            remember(children, &object.key, &answer);
            Ok(())
        }
        Operation::Note { key, patch } => {
            let answer = cluster.merge(key, patch).await?;
            remember(children, key, &answer);
            Ok(())
        }
        Operation::Delete { key, uid } => {
            cluster.delete(key, uid).await?;
            children.deleted(key, uid);
            Ok(())
        }
    }
}

/// Applies onto the version that was planned from. Where only others' fields (a controller's status, mostly) have changed
/// since, it is tried once more onto the newest version; where ours have, the next reconcile must plan anew.
///
/// What was not seen is looked for once more, past the cache: it may be there all the same, or somebody else's.
async fn apply(cluster: &Cluster, object: &Object, seen: Option<&Child>) -> Result<Value, CallError> {
    let found = match seen {
        Some(_) => None,
        None => find(cluster, object).await?,
    };
    let seen = seen.or(found.as_ref());
    let version = seen.map(|child| Seen { uid: child.uid.clone(), version: child.version });
    match (cluster.apply(&object.key, &object.object, version.as_ref()).await, seen) {
        (Err(error), Some(seen)) if error.code() == Some(409) => {
            let live =
                cluster.look(&object.key.kind.resource(), &object.key.namespace, &object.key.name).await?;
            let live = live.and_then(|live| Child::reduce(object.key.kind, &live));
            match live
                .filter(|live| live.uid == seen.uid && live.hash == seen.hash && live.digest == seen.digest)
            {
                Some(live) => {
                    let version = Seen { uid: live.uid, version: live.version };
                    cluster.apply(&object.key, &object.object, Some(&version)).await
                }
                None => Err(error),
            }
        }
        (result, _) => result,
    }
}

/// Applies all but the pod template, which stays as we last applied it. Only a look tells what that was.
async fn apply_held(cluster: &Cluster, object: &Object, seen: &Child) -> Result<Value, CallError> {
    let key = &object.key;
    let live = cluster.look(&key.kind.resource(), &key.namespace, &key.name).await?;
    let live = live.ok_or(CallError::Answer("a workload whose pods are to stay is gone"))?;
    let same =
        |child: &Child| child.uid == seen.uid && child.hash == seen.hash && child.digest == seen.digest;
    let child = Child::reduce(key.kind, &live).filter(same);
    match (child, digest::owned_pod_template(&live)) {
        (Some(child), Some(template)) => {
            let mut whole = object.object.clone();
            whole["spec"]["template"] = template;
            let version = Seen { uid: child.uid, version: child.version };
            cluster.apply(key, &whole, Some(&version)).await
        }
        _ => Err(CallError::Answer("a workload whose pods are to stay was changed meanwhile")),
    }
}

async fn find(cluster: &Cluster, object: &Object) -> Result<Option<Child>, CallError> {
    let key = &object.key;
    let Some(live) = cluster.look(&key.kind.resource(), &key.namespace, &key.name).await? else {
        return Ok(None);
    };
    if is_ours(&live, &object.object) { Ok(Child::reduce(key.kind, &live)) } else { Err(taken(key)) }
}

/// Whether a live object is the one that is desired, by its labels: of the same data, else of the same instance and tenant.
fn is_ours(live: &Value, desired: &Value) -> bool {
    let same = |label: &str| {
        let of = |object: &Value| object.pointer("/metadata/labels").and_then(|all| all.get(label)).cloned();
        of(live) == of(desired)
    };
    same(labels::MANAGED_BY)
        && same(labels::TENANT)
        && same(labels::DATA)
        && (same(labels::INSTANCE)
            || desired.pointer("/metadata/labels").is_some_and(|all| all.get(labels::DATA).is_some()))
}

fn taken(key: &Key) -> CallError {
    CallError::Taken { kind: key.kind.name(), name: key.name.clone() }
}

fn created(result: Result<Value, CallError>) -> Result<(), CallError> {
    match result {
        Err(error) if error.is_already_there() => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Puts the answer to a write into the cache. Secrets are never cached.
pub fn remember(children: &ChildCache, key: &Key, answer: &Value) {
    if key.kind != crate::kinds::Kind::Secret
        && let Some(child) = Child::reduce(key.kind, answer)
    {
        children.wrote(child, Instant::now());
    }
}

/// Makes up the values: the plain ones first, then the hashes of them.
async fn generate(secret: &Generated) -> Result<Value, CallError> {
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for one in &secret.secrets {
        let length = usize::try_from(one.length).unwrap_or(32);
        match one.type_ {
            SecretType::Alphanumeric => {
                values.insert(one.name.clone(), clock::random_text(ALPHANUMERIC, length))
            }
            SecretType::Hex => values.insert(one.name.clone(), clock::random_text(HEX, length)),
            SecretType::Bcrypt => None,
        };
    }
    for one in secret.secrets.iter().filter(|one| one.type_ == SecretType::Bcrypt) {
        let plain = one.of.as_ref().and_then(|of| values.get(of)).cloned().unwrap_or_default();
        let hashing = tokio::task::spawn_blocking(move || bcrypt::hash(plain, BCRYPT_COST));
        let hash = hashing
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(CallError::Answer("a password could not be hashed"))?;
        values.insert(one.name.clone(), hash);
    }
    let mut object = secret.object.clone();
    object["stringData"] = json!(values);
    Ok(object)
}
