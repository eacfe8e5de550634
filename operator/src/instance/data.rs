//! What must hold of an instance's data before anything is built: no data is mistaken for another's, left behind, or begun anew
//! where there was some.

use super::{
    fetch::{Fetched, Secrets},
    validate::{Invalid, volume_size},
};
use crate::{
    kinds::Kind,
    observed::{Child, Owner},
};
use crds::{Quantity, ServiceTemplate, labels, names, plan::ServicePlanSpec, reasons, template::Component};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Checks all of it.
///
/// # Errors
/// The first reason why nothing can be built.
pub(super) fn check(
    fetched: &Fetched,
    plan: &ServicePlanSpec,
    template: &ServiceTemplate,
) -> Result<(), Invalid> {
    check_data(fetched, plan, template)?;
    check_template_change(fetched, template)?;
    check_volumes_named(fetched, template)?;
    check_volumes_there(fetched, template)
}

/// The names of the claims that a template has for some data.
pub fn claim_names<'a>(template: &'a ServiceTemplate, data_id: &'a str) -> impl Iterator<Item = String> + 'a {
    let components = template.spec.components.iter();
    let all =
        components.flat_map(|component| component.volumes.iter().map(move |volume| (component, volume)));
    all.map(move |(component, volume)| names::data_volume(data_id, &component.name, &volume.name))
}

/// Data that is restored must be there, free and of the same app; no volume ever shrinks; no secret of existing data
/// is ever made anew.
fn check_data(fetched: &Fetched, plan: &ServicePlanSpec, template: &ServiceTemplate) -> Result<(), Invalid> {
    let uid = fetched.instance.metadata.uid.as_deref().unwrap_or_default();
    let restores = fetched.instance.spec.restore_from.is_some();
    if restores && fetched.volumes.is_empty() {
        return Err(Invalid::known(reasons::RETAINED_DATA_NOT_FOUND));
    }
    if restores && fetched.secret_notes.contains_key(labels::PURGE_BEGUN_AT) {
        let message = "The data in restoreFrom is being destroyed and can't be restored any more. Order an instance without it.";
        return Err(Invalid::stalled(reasons::RETAINED_DATA_PURGED, message));
    }
    for volume in fetched.volumes.values() {
        let owned_by = |owner: &Owner| matches!(owner, Owner::Instance(other) if other != uid);
        if volume.owner.as_ref().is_some_and(owned_by) {
            return Err(Invalid::known(reasons::RETAINED_DATA_IN_USE));
        }
        let of_another =
            volume.volume().is_some_and(|v| !v.template.is_empty() && v.template != plan.template_ref);
        if of_another {
            return Err(Invalid::known(reasons::RETAINED_DATA_OF_ANOTHER_APP));
        }
    }
    for (component, volume) in
        template.spec.components.iter().flat_map(|c| c.volumes.iter().map(move |v| (c, v)))
    {
        let name = names::data_volume(&fetched.data_id, &component.name, &volume.name);
        let wanted = volume_size(plan.resources.storage, volume.storage_percent);
        let has = fetched
            .volumes
            .get(&name)
            .and_then(|child| child.volume())
            .map_or(Quantity::ZERO, |v| v.requested);
        if has > wanted {
            return Err(Invalid::known(reasons::STORAGE_TOO_SMALL));
        }
    }
    if fetched.secrets == Secrets::Foreign {
        return Err(Invalid::known(reasons::SECRET_NAME_TAKEN));
    }
    if fetched.secrets == Secrets::Lost {
        return Err(Invalid::known(reasons::SECRET_MISSING));
    }
    Ok(())
}

/// What a template's edit may not do to data that is there: ask for secrets that were never made, or turn a component from one
/// kind of workload into the other, which would mount its volume twice.
fn check_template_change(fetched: &Fetched, template: &ServiceTemplate) -> Result<(), Invalid> {
    if let Secrets::There(values) = &fetched.secrets
        && let Some(missing) = template.spec.secrets.iter().find(|secret| !values.contains_key(&secret.name))
    {
        let message = format!(
            "The template asks for the secret {}, which the data was made without. An administrator must take it out of the \
             template, or sell the changed app as another template.",
            missing.name
        );
        return Err(Invalid::stalled(reasons::SECRET_INCOMPLETE, message));
    }
    let flipped = |component: &Component| {
        let other = if component.stateful { Kind::Deployment } else { Kind::StatefulSet };
        fetched
            .children
            .iter()
            .any(|child| child.key.kind == other && child.component.as_ref() == Some(&component.name))
    };
    if let Some(component) = template.spec.components.iter().find(|component| flipped(component)) {
        let message = format!(
            "The template changed the kind of component {}. An administrator must put it back, or sell it as another template.",
            component.name
        );
        return Err(Invalid::stalled(reasons::COMPONENT_KIND_CHANGED, message));
    }
    Ok(())
}

/// A template that no longer names a volume would leave it behind, of what runs as of what is restored.
fn check_volumes_named(fetched: &Fetched, template: &ServiceTemplate) -> Result<(), Invalid> {
    let named: BTreeSet<String> = claim_names(template, &fetched.data_id).collect();
    let is_unnamed = |child: &&Arc<Child>| {
        child.key.kind == Kind::PersistentVolumeClaim && !named.contains(&child.key.name)
    };
    let Some(volume) = fetched.volumes.values().chain(&fetched.children).find(is_unnamed) else {
        return Ok(());
    };
    if volume.volume().is_none_or(|volume| volume.release.released_at.is_none()) {
        return Err(Invalid::known(reasons::VOLUME_NOT_IN_TEMPLATE));
    }
    let message = format!(
        "The data in restoreFrom has the volume {}, which the template no longer names: it would be left behind, so nothing is taken \
         up. An administrator must put it back in the template.",
        volume.key.name
    );
    Err(Invalid::stalled(reasons::VOLUME_NOT_IN_TEMPLATE, message))
}

/// A volume of data that was complete once never vanishes silently into an empty one: not while its instance lives, nor between its
/// release and its restoration. Data that was released without a note of its volumes is taken as it is.
fn check_volumes_there(fetched: &Fetched, template: &ServiceTemplate) -> Result<(), Invalid> {
    if fetched.volumes.values().any(|volume| volume.terminating) {
        return Err(Invalid::known(reasons::VOLUME_BEING_DELETED));
    }
    let bound_once =
        fetched.instance.status.as_ref().map(|status| status.volumes.as_slice()).unwrap_or_default();
    let is_lost = |name: String| bound_once.contains(&name) && !fetched.volumes.contains_key(&name);
    if claim_names(template, &fetched.data_id).any(is_lost) {
        return Err(Invalid::known(reasons::VOLUME_MISSING));
    }
    let gone = volumes_of_note(&fetched.secret_notes).find(|name| !fetched.volumes.contains_key(name));
    gone.map_or(Ok(()), |name| {
        let message = format!(
            "The data in restoreFrom had the volume {name}, which is gone. An empty one in its place would pass for the data, so \
             nothing is made or taken up: an administrator must restore the volume from a backup, under that name and with its labels."
        );
        Err(Invalid::stalled(reasons::VOLUME_MISSING, message))
    })
}

/// The volume claims that released data had, by the note on its Secret.
pub(super) fn volumes_of_note(notes: &BTreeMap<String, String>) -> impl Iterator<Item = String> + '_ {
    let text = notes.get(labels::VOLUMES).into_iter();
    text.flat_map(|text| text.split(',')).filter(|name| !name.is_empty()).map(str::to_owned)
}
