"""Integrations: import the one that you need, such as `sluice.integrations.huggingface`. Nothing here is imported by
`import sluice`, and each needs the package that it is named after."""
