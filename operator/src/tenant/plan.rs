//! The way from what a tenant has to what it should have: pure.

use crate::{
    instance::{build::Object, plan::Operation},
    observed::Child,
};
use std::sync::Arc;

/// The operations, in the order of `desired`.
pub fn plan(desired: &[Object], children: &[Arc<Child>]) -> Vec<Operation> {
    let mut operations = Vec::new();
    for object in desired {
        let there = children.iter().find(|child| child.key == object.key);
        match there {
            Some(child) if child.hands_off || child.terminating || child.is_as_desired(&object.hash) => {}
            there => {
                let seen = there.map(|child| Box::new((**child).clone()));
                operations.push(Operation::Apply { object: object.clone(), seen });
            }
        }
    }
    operations
}
