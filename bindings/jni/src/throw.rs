// SPDX-License-Identifier: Apache-2.0
//! How a native method fails: by an exception.

use crate::java;
use crate::raised::Raised;
use jni::Env;
use jni::errors::ErrorPolicy;
use std::any::Any;

/// Throws what was raised; a panic is an `IOException`, too, and never crosses into the JVM.
pub(crate) struct Throw;

impl<T: Default> ErrorPolicy<T, Raised> for Throw {
    type Captures<'env: 'native, 'native> = ();

    fn on_error<'env: 'native, 'native>(
        env: &mut Env<'env>,
        (): &mut (),
        raised: Raised,
    ) -> jni::errors::Result<T> {
        if !env.exception_check() {
            let failure = java::failure(env, &raised)?;
            // Throwing answers an error of its own: that it was thrown.
            let _ = env.throw(failure);
        }
        Ok(T::default())
    }

    fn on_panic<'env: 'native, 'native>(
        env: &mut Env<'env>,
        captures: &mut (),
        payload: Box<dyn Any + Send + 'static>,
    ) -> jni::errors::Result<T> {
        let why = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let raised = Raised::Told(format!("a defect of storescope, please report it: {why}"));
        <Throw as ErrorPolicy<T, Raised>>::on_error(env, captures, raised)
    }
}
