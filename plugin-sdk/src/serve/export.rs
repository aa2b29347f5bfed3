//! The one exported symbol.

/// Exports the header, without the author depending on `abi_stable`.
#[doc(hidden)]
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        use $crate::__private::abi_stable::library as __library;

        fn __root() -> $crate::__private::plugin::PluginTableRef {
            $crate::__private::plugin::table::<$crate::__private::Served<$plugin>>()
        }

        extern "C" fn __erased() -> __library::RootModuleResult {
            __library::__call_root_module_loader(__root)
        }

        // SAFETY: `__erased` returns what `__root` makes, a `PluginTableRef`.
        static __ROOT: __library::LibHeader = unsafe {
            __library::LibHeader::from_constructor::<$crate::__private::plugin::PluginTableRef>(
                __erased,
                __library::CheckTypeLayout::Yes,
            )
        };

        #[unsafe(no_mangle)]
        pub static COORDINATOR_PLUGIN: $crate::__private::header::PluginHeader =
            $crate::__private::header::PluginHeader::new(
                <$plugin as $crate::__private::Plugin>::IDENTITY,
                &__ROOT,
            );
    };
}
