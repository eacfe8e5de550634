//! Whom pods run as: what Pod Security `restricted` asks for, always.

use crds::template::Security;
use serde_json::{Value, json};

/// The security context of a pod.
pub(super) fn build_pod_security(security: &Security) -> Value {
    let mut context = json!({
        "runAsNonRoot": true,
        "runAsUser": security.user,
        "runAsGroup": security.group,
        "fsGroup": security.group,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    if !security.sysctls.is_empty() {
        context["sysctls"] = json!(security.sysctls);
    }
    context
}

/// The security context of each of its containers.
pub(super) fn build_container_security(security: &Security) -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": !security.writable_root,
        "capabilities": {"drop": ["ALL"]},
    })
}
