// SPDX-License-Identifier: Apache-2.0
//! How a native method of `io.github.storescope.hadoop.Native` is written.

/// Native methods: the name in Java, and what it does.
macro_rules! natives {
    ($($(#[$doc:meta])* $java:literal fn $name:ident($env:ident $(, $argument:ident: $type:ty)*) -> $answer:ty $does:block)*) => {$(
        $(#[$doc])*
        #[allow(unsafe_code)]
        // SAFETY: the one symbol of this name; its arguments are those that `Native` declares for it.
        #[unsafe(export_name = concat!("Java_io_github_storescope_hadoop_Native_", $java))]
        extern "system" fn $name<'a>(
            mut env: ::jni::EnvUnowned<'a>,
            _class: ::jni::objects::JClass<'a>
            $(, $argument: $type)*
        ) -> $answer {
            env.with_env(|$env| -> $crate::raised::Result<$answer> { $does }).resolve::<$crate::throw::Throw>()
        }
    )*};
}

pub(crate) use natives;
