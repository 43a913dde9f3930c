"""Settings of the documentation; built by `sphinx-build -W docs docs/_build/html`, no request leaves the machine."""

import assembly

project = "assembly"
author = "The assembly authors"
project_copyright = f"2026, {author}"
version = release = assembly.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
]
exclude_patterns = ["_build", "jupyter_execute", "_static"]
root_doc = "index"
language = "en"
templates_path = ["_templates"]

html_theme = "furo"
html_title = f"assembly {release}"
html_static_path = ["_static"]
html_css_files = ["assembly.css", ("print.css", {"media": "print"})]
html_js_files = [("scrolling.js", {"defer": "defer"})]
html_copy_source = False
html_theme_options = {
    "sidebar_hide_name": False,
    "light_css_variables": {"color-brand-primary": "#00558a", "color-brand-content": "#00558a"},
    "dark_css_variables": {"color-brand-primary": "#6cb8e6", "color-brand-content": "#6cb8e6"},
}
mathjax_path = "mathjax/tex-svg.js"  # shipped in _static: see _static/mathjax/README.md
mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "global"}}

myst_enable_extensions = ["amsmath", "attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

nb_execution_mode = "cache"  # CI gives -D nb_execution_cache_path=<an empty folder>: the cache does not see the package
nb_execution_raise_on_error = True
nb_execution_timeout = 180
nb_merge_streams = True
nb_render_markdown_format = "myst"  # tables that a cell shows

add_module_names = False
autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types stand in the docstrings
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False


def setup(app):
    """Leave modules without source out of the list of `viewcode`, which would link to pages that it does not write."""

    def only_with_source(app):
        modules = getattr(app.env, "_viewcode_modules", {})
        for name in [name for name, found in modules.items() if not found]:
            del modules[name]
        return []

    app.connect("html-collect-pages", only_with_source, priority=400)
