//! Which instances ask for which host, and whose platform host is whose: kept beside the cache of instances, so that nobody has to
//! look through all of them.

use crds::{ServiceInstance, names};
use kube::{ResourceExt as _, runtime::reflector::ObjectRef};
use std::collections::HashMap;

/// Who asks for what.
#[derive(Debug, Default)]
pub struct Claims {
    by_host: HashMap<String, HashMap<String, ObjectRef<ServiceInstance>>>,
    by_platform_id: HashMap<String, String>,
}

impl Claims {
    /// Takes a change of an instance; the hosts that it no longer asks for.
    pub fn changed(&mut self, old: Option<&ServiceInstance>, new: Option<&ServiceInstance>) -> Vec<String> {
        let mut dropped = Vec::new();
        if let Some(old) = old {
            let uid = old.uid().unwrap_or_default();
            let same = new.filter(|new| new.uid().as_ref() == Some(&uid));
            for host in &old.spec.domains {
                if same.is_none_or(|new| !new.spec.domains.contains(host)) {
                    self.remove(host, &uid);
                    dropped.push(host.clone());
                }
            }
            if same.is_none() {
                self.by_platform_id.remove(&names::short_id(&uid));
            }
        }
        if let Some(new) = new {
            let uid = new.uid().unwrap_or_default();
            for host in &new.spec.domains {
                self.by_host.entry(host.clone()).or_default().insert(uid.clone(), ObjectRef::from_obj(new));
            }
            self.by_platform_id.insert(names::short_id(&uid), uid);
        }
        dropped
    }

    /// Who asks for a host.
    pub fn of(&self, host: &str) -> impl Iterator<Item = &ObjectRef<ServiceInstance>> {
        self.by_host.get(host).into_iter().flat_map(HashMap::values)
    }

    /// Whether the instance with that uid asks for it.
    pub fn asks(&self, host: &str, uid: &str) -> bool {
        self.by_host.get(host).is_some_and(|all| all.contains_key(uid))
    }

    /// The uid of the instance whose platform host begins with that id.
    pub fn of_platform_id(&self, id: &str) -> Option<&String> {
        self.by_platform_id.get(id)
    }

    fn remove(&mut self, host: &str, uid: &str) {
        if let Some(all) = self.by_host.get_mut(host) {
            all.remove(uid);
            if all.is_empty() {
                self.by_host.remove(host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::instance::ServiceInstanceSpec;

    fn instance(uid: &str, domains: &[&str]) -> ServiceInstance {
        let spec = ServiceInstanceSpec {
            domains: domains.iter().map(|host| (*host).to_owned()).collect(),
            ..ServiceInstanceSpec::default()
        };
        let mut instance = ServiceInstance::new("shop", spec);
        instance.metadata.uid = Some(uid.to_owned());
        instance
    }

    #[test]
    fn a_host_is_asked_for_until_it_is_dropped_or_its_instance_is_gone() {
        let mut claims = Claims::default();
        let (first, second) = (instance("a", &["x.test", "y.test"]), instance("a", &["y.test"]));
        claims.changed(None, Some(&first));
        claims.changed(None, Some(&instance("b", &["y.test"])));
        assert_eq!((claims.of("x.test").count(), claims.of("y.test").count()), (1, 2));
        assert_eq!(claims.changed(Some(&first), Some(&second)), ["x.test"]);
        assert!(!claims.asks("x.test", "a") && claims.asks("y.test", "a"));
        assert_eq!(claims.changed(Some(&second), None), ["y.test"]);
        assert_eq!(claims.of("y.test").count(), 1);
        assert_eq!(claims.of_platform_id(&names::short_id("b")).map(String::as_str), Some("b"));
        assert_eq!(claims.of_platform_id(&names::short_id("a")), None);
    }
}
