// SPDX-License-Identifier: Apache-2.0
//! By object_store 0.4 and the parquet that goes with it.

#[path = "integration.rs"]
mod integration;
#[path = "join.rs"]
mod join;
#[path = "parquet.rs"]
mod parquet_reader;
#[path = "promises.rs"]
mod promises;

use arrow_array_014 as arrow_array;
use object_store_014 as object_store;
use parquet_014 as parquet;
use storescope_object_store::v014::ScopedStore;
