"""Package metadata; `pyproject.toml` holds only the build backend and tool settings."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
SHIPPED = ("stimuli", "configs")


class BuildWithShippedFiles(build_py):
    """Carry the top-level stimuli/ and configs/ into the wheel as cogneuro_sae/shipped/."""

    def run(self):
        super().run()
        for kind in SHIPPED:
            target = Path(self.build_lib) / "cogneuro_sae" / "shipped" / kind
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(HERE / kind, target)


def version() -> str:
    scope: dict = {}
    exec((HERE / "cogneuro_sae" / "_version.py").read_text("utf-8"), scope)
    return scope["__version__"]


setup(
    name="cogneuro_sae",
    version=version(),
    description="Find, test and compare the features of a language model that carry a concept: contrast maps, RSA and "
                "sparse autoencoders with the statistics of cognitive neuroscience.",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["cogneuro_sae", "cogneuro_sae.*"]),
    package_data={"cogneuro_sae": ["data/**/*", "templates/*", "judge/prompts/*.md"]},
    cmdclass={"build_py": BuildWithShippedFiles},
    install_requires=[
        "torch>=2.4",
        "transformers>=5.0,<6",
        "safetensors>=0.5",
        "sentencepiece>=0.2",
        "numpy>=2.0",
        "scipy>=1.13",
        "pandas>=2.2",
        "scikit-learn>=1.6",
        "nilearn>=0.13",
        "rsatoolbox>=0.3",
        "statsmodels>=0.14.4",
        "pingouin>=0.5.5",
        "matplotlib>=3.9",
        "seaborn>=0.13",
        "wandb>=0.18",
        "pydantic>=2.9",
        "PyYAML>=6.0",
        "typer>=0.15",
        "rich>=13",
        "jinja2>=3.1",
        "filelock>=3.13",
        "tqdm>=4.66",
        "tokenizers>=0.21",
        "threadpoolctl>=3.5",
    ],
    extras_require={
        "datasets": ["pyarrow", "datasets"],
        "lexical": ["wordfreq", "vaderSentiment"],
        "warping": ["dtaidistance>=2.3"],
        "interactive": ["plotly>=6"],
        "judge": ["openai>=2", "anthropic>=0.60"],
        "test": ["pytest>=8", "pytest-timeout", "pytest-xdist", "hypothesis", "pdoc", "setuptools>=77", "wheel", "pyarrow",
                 "datasets", "wordfreq", "vaderSentiment", "dtaidistance>=2.3", "openai>=2",
                 "anthropic>=0.60", "plotly>=6", "krippendorff"],
    },
    entry_points={"console_scripts": ["cogneuro-sae = cogneuro_sae.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
