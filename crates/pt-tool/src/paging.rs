//! A mode, known at run time, as a format, known at compile time.

pub(crate) use pt_vcpu::Paging;

/// Evaluates an expression with the format bound to a name, once per format; where there are no tables, returns an error.
macro_rules! with_format {
    ($paging:expr, |$format:ident| $body:expr) => {
        pt_vcpu::with_format!(
            $paging,
            |$format| $body,
            unpaged => anyhow::bail!("paging is off: there are no tables"),
        )
    };
}
pub(crate) use with_format;
