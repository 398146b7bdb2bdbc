"""What a run may be configured to do: the schema of ``conf/``, and how a bad config is refused."""

from attncompare.config.corpora import CorpusConfig, LocaleConfig, RecallConfig, ReverseConfig
from attncompare.config.schema import (
    CONF_DIR,
    PAIRS,
    TEXT,
    AttentionConfig,
    DatasetConfig,
    LanguageModelConfig,
    OptimizerConfig,
    RunConfig,
    TokenizerConfig,
    TrackingConfig,
    TrainerConfig,
    TransformerConfig,
    TranslationConfig,
    parse,
    parse_composed,
)

__all__ = [
    "CONF_DIR",
    "PAIRS",
    "TEXT",
    "AttentionConfig",
    "CorpusConfig",
    "DatasetConfig",
    "LanguageModelConfig",
    "LocaleConfig",
    "OptimizerConfig",
    "RecallConfig",
    "ReverseConfig",
    "RunConfig",
    "TokenizerConfig",
    "TrackingConfig",
    "TrainerConfig",
    "TransformerConfig",
    "TranslationConfig",
    "parse",
    "parse_composed",
]
