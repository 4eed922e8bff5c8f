//! The order of tables that refer to each other.

use std::collections::HashSet;

use super::Mapping;

/// Puts tables behind those they refer to, at either end; tables that refer to each other in a circle keep their order.
pub(crate) fn parents_first<T>(items: Vec<T>, mapping: impl Fn(&T) -> &Mapping) -> Vec<T> {
    let mut waiting = items;
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let names: HashSet<String> = waiting.iter().map(|item| mapping(item).source.name.clone()).collect();
        let is_free = |item: &T| {
            let own = &mapping(item).source.name;
            let mut parents = mapping(item).source.references.iter().chain(&mapping(item).target.references);
            !parents.any(|parent| parent != own && names.contains(parent))
        };
        let (mut free, rest): (Vec<T>, Vec<T>) = waiting.into_iter().partition(is_free);
        waiting = rest;
        if free.is_empty() {
            ordered.append(&mut waiting);
        }
        ordered.append(&mut free);
    }
    ordered
}
