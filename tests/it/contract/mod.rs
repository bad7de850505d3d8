// SPDX-License-Identifier: Apache-2.0
//! The backend contract (promises/), run by each backend there is.

mod promises;
#[cfg(feature = "s3")]
mod s3_others;

mod oci {
    use crate::common::{World, bucket_url};
    use crate::contract::promises::{Dialect, Fixture, backend_contract};
    use storescope_emulator::{Action, Fault};

    fn fixture() -> Fixture {
        let World { client, emulator, .. } = World::new();
        let url = bucket_url(&emulator).parse().unwrap();
        let service = format!("oci://@{}", emulator.ready().oci.namespace).parse().unwrap();
        let (corrupting, counting) = (emulator.admin(), emulator.admin());
        Fixture {
            client,
            dialect: Dialect::Oci,
            handed: None,
            url,
            service,
            corrupt: Box::new(move |offset| {
                corrupting.fault(Fault::new(Action::Corrupt { offset }).method("GET"));
            }),
            requests: Box::new(move || counting.record(None).len()),
            _server: Box::new(emulator),
        }
    }

    backend_contract!(fixture);
}

#[cfg(feature = "s3")]
mod s3 {
    use crate::common::{BUCKET, client, emulator, s3_config};
    use crate::contract::promises::{Dialect, Fixture, backend_contract};
    use storescope_emulator::{Action, Fault};

    fn fixture() -> Fixture {
        let emulator = emulator();
        let (corrupting, counting) = (emulator.admin(), emulator.admin());
        Fixture {
            client: client(s3_config(&emulator)),
            dialect: Dialect::S3,
            handed: None,
            url: format!("s3://{BUCKET}/").parse().unwrap(),
            service: "s3://".parse().unwrap(),
            corrupt: Box::new(move |offset| {
                corrupting.fault(Fault::new(Action::Corrupt { offset }).method("GET"));
            }),
            requests: Box::new(move || counting.record(None).len()),
            _server: Box::new(emulator),
        }
    }

    backend_contract!(fixture);
}

#[cfg(feature = "object-store")]
mod object_store {
    use crate::common::client;
    use crate::contract::promises::{Dialect, Fixture, backend_contract};
    use ::object_store::ObjectStore;
    use std::any::Any;
    use std::sync::Arc;
    use storescope::{Config, StoreOptions};

    fn wrapping(store: Arc<dyn ObjectStore>, server: Box<dyn Any>) -> Fixture {
        let client = client(Config::default());
        let options = StoreOptions::new().set("part_size", "5MiB");
        Fixture {
            dialect: Dialect::Wrapped,
            handed: Some(client.object_store(store, "", options).unwrap()),
            client,
            url: "file:///".parse().unwrap(),
            service: "file:///".parse().unwrap(),
            corrupt: Box::new(|_| {}),
            requests: Box::new(|| 0),
            _server: server,
        }
    }

    mod memory {
        use super::*;

        fn fixture() -> Fixture {
            wrapping(Arc::new(::object_store::memory::InMemory::new()), Box::new(()))
        }

        backend_contract! { @each fixture:
            ranges_are_exact,
            a_range_past_the_end_is_invalid,
            a_range_of_nothing_asks_for_nothing,
            an_empty_object_reads_as_empty,
            a_read_may_ask_for_an_etag,
            create_writes_once,
            update_replaces_what_it_names,
            of_many_creators_one_succeeds,
            pieces_are_one_object,
            a_write_by_parts_is_one_object,
            a_source_that_fails_writes_nothing,
            a_source_of_another_size_writes_nothing,
            a_file_goes_up,
            a_copy_is_what_its_source_is,
        }
    }

    mod files {
        use super::*;

        fn fixture() -> Fixture {
            let folder = tempfile::tempdir().unwrap();
            let store = ::object_store::local::LocalFileSystem::new_with_prefix(folder.path());
            wrapping(Arc::new(store.unwrap()), Box::new(folder))
        }

        backend_contract! { @each fixture:
            ranges_are_exact,
            a_range_past_the_end_is_invalid,
            a_range_of_nothing_asks_for_nothing,
            an_empty_object_reads_as_empty,
            create_writes_once,
            of_many_creators_one_succeeds,
            deleting_removes_and_says_what_was_missing,
            pieces_are_one_object,
            a_write_by_parts_is_one_object,
            a_source_that_fails_writes_nothing,
            a_source_of_another_size_writes_nothing,
            a_file_goes_up,
            a_rename_moves_what_was_there,
            a_copy_is_what_its_source_is,
        }
    }
}
