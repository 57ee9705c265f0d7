//! The models by name, each of which can be replaced while it is served.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::ServedModel;

/// The models that are served. Whoever has asked for one keeps it to the end of the request,
/// whatever serves the next.
pub struct Models {
    table: RwLock<Table>,
}

struct Table {
    by_name: BTreeMap<String, Arc<ServedModel>>,
    default: Arc<ServedModel>,
}

impl Models {
    /// The first model is the one for requests that name none.
    #[must_use]
    pub fn new(first: ServedModel, others: impl IntoIterator<Item = ServedModel>) -> Self {
        let default = Arc::new(first);
        let all = others.into_iter().map(Arc::new).chain([Arc::clone(&default)]);
        let by_name = all.map(|model| (model.name().to_owned(), model)).collect();
        Self { table: RwLock::new(Table { by_name, default }) }
    }

    /// The model of that name, or the default one for no name.
    #[must_use]
    pub fn get(&self, name: Option<&str>) -> Option<Arc<ServedModel>> {
        let table = self.table();
        name.map_or(Some(&table.default), |name| table.by_name.get(name)).cloned()
    }

    /// All models, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = Arc<ServedModel>> {
        let all: Vec<Arc<ServedModel>> = self.table().by_name.values().cloned().collect();
        all.into_iter()
    }

    /// Whether requests that name no model get this one.
    #[must_use]
    pub fn is_default(&self, model: &Arc<ServedModel>) -> bool {
        Arc::ptr_eq(&self.table().default, model)
    }

    /// Puts a model in the place of another, for every request from now on; the one that was
    /// there, or the new one back where there is none of that name, or the new name is another's.
    ///
    /// # Errors
    ///
    /// The model that finds no place.
    pub fn replace(
        &self,
        name: &str,
        model: ServedModel,
    ) -> Result<Arc<ServedModel>, Box<ServedModel>> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let is_taken = model.name() != name && table.by_name.contains_key(model.name());
        let Some(old) = table.by_name.get(name).filter(|_| !is_taken).cloned() else {
            return Err(Box::new(model));
        };
        let model = Arc::new(model);
        table.by_name.remove(name);
        table.by_name.insert(model.name().to_owned(), Arc::clone(&model));
        if Arc::ptr_eq(&table.default, &old) {
            table.default = model;
        }
        Ok(old)
    }

    /// Admits nothing more to any of them; what was admitted is still answered.
    pub fn close(&self) {
        self.iter().for_each(|model| model.pipeline.queue().close());
    }

    /// The lock is held for a look into a map, and never across a wait.
    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }
}
