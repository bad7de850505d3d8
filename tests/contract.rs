// SPDX-License-Identifier: Apache-2.0
//! The backend contract (tests/common/backend_contract.rs), run by each backend there is.

#[path = "common/backend_contract.rs"]
mod backend_contract;
mod common;

mod oci {
    use crate::backend_contract::{Fixture, backend_contract};
    use crate::common::{World, bucket_url};
    use storescope_emulator::{Action, Fault};

    fn fixture() -> Fixture {
        let World { client, emulator, .. } = World::new();
        let url = bucket_url(&emulator).parse().unwrap();
        let service = format!("oci://@{}", emulator.ready().oci.namespace).parse().unwrap();
        let (corrupting, counting) = (emulator.admin(), emulator.admin());
        Fixture {
            client,
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
