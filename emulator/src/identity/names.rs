// SPDX-License-Identifier: Apache-2.0
//! Names of the emulated place: region, tenancy, and the principals in it.

pub(crate) const REGION: &str = "us-ashburn-1";
/// What instance metadata and request ids call the region.
pub(crate) const REGION_KEY: &str = "iad";
pub(crate) const TENANCY: &str = "ocid1.tenancy.oc1..aaaaaaaaemulatortenancy";
pub(crate) const USER: &str = "ocid1.user.oc1..aaaaaaaaemulatoruser";
pub(crate) const COMPARTMENT: &str = "ocid1.compartment.oc1..aaaaaaaaemulatorcompartment";
/// The instance whose metadata is served.
pub(crate) const INSTANCE: &str = "ocid1.instance.oc1.iad.aaaaaaaaemulatorinstance";
/// The resource of resource principals.
pub(crate) const RESOURCE: &str = "ocid1.fnfunc.oc1.iad.aaaaaaaaemulatorfunction";
/// The resource that the resource is in, and the one that this is in.
pub(crate) const PARENTS: [&str; 2] = [
    "ocid1.fnapp.oc1.iad.aaaaaaaaemulatorapplication",
    "ocid1.dataflowpool.oc1.iad.aaaaaaaaemulatorpool",
];
/// The cluster whose pods have an identity.
pub(crate) const CLUSTER: &str = "ocid1.cluster.oc1.iad.aaaaaaaaemulatorcluster";
/// The user for whom an identity domain exchanges a token.
pub(crate) const DOMAIN_USER: &str = "ocid1.user.oc1..aaaaaaaaemulatordomainuser";
