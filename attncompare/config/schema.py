"""The typed schema of ``conf/``: what a run may be configured to do, and the rules between sections.

Values have their defaults in ``conf/``; here stand types, ranges and rules, and a default where records are older than the
key. The sections ``task``, ``data``, ``backbone`` and ``attention.score`` are those of the part that their ``name`` chooses.
"""

import hashlib
import inspect
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from omegaconf import DictConfig, OmegaConf
from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from attncompare import registry
from attncompare.config import values as fields
from attncompare.config.messages import HYDRA_ERRORS, explain, explain_hydra, shown
from attncompare.config.plain_values import check_references, leaves, safe_yaml
from attncompare.config.values import NAMES_ALONE, Strict
from attncompare.errors import Refused

_PLACES = (Path(__file__).parents[1] / "conf", Path(__file__).parents[2] / "conf")  # in a wheel, in a checkout
CONF_DIR = next(folder for folder in _PLACES if folder.is_dir())
# What names, files or shows a run, and decides none of its numbers.
PRESENTATION = ("name", "tags", "notes", "runs", "resume", "tracking", "compare", "sweep")
# What a run chooses, along which runs are compared; all else must be the same for them. Keys, or beginnings of keys.
CHOSEN = ("attention.", "backbone.", "optimizer.", "trainer.average_last")
_LARGEST = 2**63 - 1
_DEFAULT_STEPS = 1000


OPEN_SECTIONS = ("score", "normalizer", "mask", "positions", "sites", "layers")
"""Sections of ``attention`` whose keys depend on what they name."""

UNNAMED_PARTS = {"mask": "window"}
"""The part that a section without a name is: ``attention.mask.window=16`` on top of no mask."""

_SOFTMAX = "softmax"
_NOT_IN_CROSS = {"positions": None, "causal": False}
_OF_NONE = {"normalizer": _SOFTMAX, "heads": 0, "head_dim": None, "causal": False, "dropout": 0.0}
"""What a section without a score, so without attention, says where the schema has no default for it."""


def _number_of_a_layer(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise ValueError("must be the number of a layer, from 1")
    return text


class AttentionConfig(Strict):
    """``attention``: the variant, the one thing that a comparison changes.

    ``sites`` and ``layers`` hold other values of its keys for some places (:meth:`at`). Without a score there is no attention,
    and nothing else to say of it.
    """

    name: fields.Label
    score: fields.part("scores") | None  # type: ignore[valid-type]
    normalizer: fields.part("normalizers") = Field(default=_SOFTMAX, validate_default=True)  # type: ignore[valid-type]
    mask: fields.part("masks", UNNAMED_PARTS["mask"]) | None = None  # type: ignore[valid-type]
    positions: fields.part("positions") | None = None  # type: ignore[valid-type]
    heads: Annotated[int, Field(ge=0), fields.must_be("a positive integer")]
    kv_heads: fields.PositiveOrNull = None
    head_dim: fields.PositiveOrNull
    value_dim: fields.PositiveOrNull = None
    talking_heads: bool = False
    gate: Literal["elementwise", "headwise"] | None = None
    differential: bool = False
    latent: fields.PositiveOrNull = None
    stacked: bool = False
    causal: bool
    dropout: fields.Probability
    sites: dict[Literal["encoder", "decoder", "cross"], dict[str, Any]] = Field(default={})
    layers: dict[Annotated[str, AfterValidator(_number_of_a_layer)], dict[str, Any]] = Field(default={})

    @model_validator(mode="after")
    def _no_attention_has_no_settings(self) -> "AttentionConfig":
        if self.score is not None:
            if self.heads == 0:
                raise ValueError("attention.heads=0: must be a positive integer")
            return self
        for key, declared in type(self).model_fields.items():
            value, none = getattr(self, key), _OF_NONE.get(key, declared.default)
            if key not in ("name", "score") and getattr(value, "name", value) != none:
                raise ValueError(
                    f"attention.{key}={shown(getattr(value, 'name', value))}: with attention.score=null, as attention=none has "
                    f"it, there is no attention to set it for; leave attention.{key}={shown(none)}"
                )
        return self

    @model_validator(mode="after")
    def _heads_share_keys_evenly(self) -> "AttentionConfig":
        if self.kv_heads and self.heads % self.kv_heads:
            raise ValueError(f"attention.kv_heads={self.kv_heads}: must divide attention.heads={self.heads}")
        return self

    @model_validator(mode="after")
    def _each_place_is_valid(self, info: ValidationInfo) -> "AttentionConfig":
        for place in (*self.sites.values(), *self.layers.values()):
            if place.get("score", "") is None:
                raise ValueError("attention.score=null: only for the whole model, which attention=none says")
        for key, none in _NOT_IN_CROSS.items():
            if self.sites.get("cross", {}).get(key, none) != none:
                raise ValueError(
                    f"attention.sites.cross.{key}: cross-attention has none, as positions of source and target say nothing "
                    "of each other"
                )
        if self.sites.get("decoder", {}).get("causal") is False:
            raise ValueError("attention.sites.decoder.causal=false: a decoder never sees the future")
        for site in (None, *self.sites):
            for layer in (None, *map(int, self.layers)):
                self.at(site, layer, info.context)
        return self

    def at(self, site: str | None = None, layer: int | None = None, context: Any = None) -> "AttentionConfig":
        """Return what holds in one place: the section with the values of its site, and over these of its layer, from 1.

        ``context`` is that of the validation of this section, of which its parts may be names alone.
        Cross-attention has no positions, is never causal, and has a mask only if ``sites`` says so.
        """
        others = [("sites", site)] * (site in self.sites) + [("layers", layer)] * (str(layer) in self.layers)
        values = self.model_dump(mode="json", exclude={"sites", "layers"})
        for group, place in others:
            of_place = getattr(self, group)[str(place)]
            where = f"attention.{group}.{place}"
            if not_there := [key for key in of_place if key not in values or key == "name"]:
                raise ValueError(
                    registry.unknown(f"key of {where}", not_there[0], [key for key in values if key != "name"])
                )
            values = {**values, **{key: _merged(values[key], value) for key, value in of_place.items()}}
        if site == "cross":
            values |= {**_NOT_IN_CROSS, "mask": self.sites.get("cross", {}).get("mask")}
        try:
            if not (others or site == "cross"):
                return self
            found = AttentionConfig.model_validate_json(json.dumps(values), context=context)
            if site == "cross" and found.mask and not registry.load("masks", found.mask.name).crosses:
                raise ValueError(
                    f"attention.sites.cross.mask={found.mask.name}: a pattern within one sequence; in cross-attention valid: "
                    + ", ".join(name for name in registry.names("masks") if registry.load("masks", name).crosses)
                )
            return found
        except ValidationError as error:
            raise _in_place(error, *others[-1]) from None

    def width(self, d_model: int) -> int:
        """Return the width K of one head: ``head_dim``, by default ceil(d_model / heads)."""
        return self.head_dim or math.ceil(d_model / max(1, self.heads))


def _in_place(error: ValidationError, group: str, place: Any) -> ValidationError:
    """Return the error of a place's values with keys that begin with the place."""
    found = [
        InitErrorDetails(
            type=PydanticCustomError(one["type"], "{_}", {**one.get("ctx", {}), "_": one["msg"]}),
            loc=(group, str(place), *one["loc"]),
            input=one["input"],
        )
        for one in error.errors()
    ]
    return ValidationError.from_exception_data(error.title, found)


def _merged(before: Any, value: Any) -> Any:
    """Return a section of a part with further settings, where it goes on being the same part; else the new value."""
    if not isinstance(before, dict) or not isinstance(value, dict):
        return value
    name = before.get("name", UNNAMED_PARTS["mask"])  # of no other part may a site leave the name out
    return {**before, **value} if value.get("name", name) == name else value


class OptimizerConfig(Strict):
    """``optimizer=adamw`` (Loshchilov and Hutter 2019) with its learning-rate schedule."""

    name: Literal["adamw"]
    lr: fields.PositiveFloat
    betas: tuple[fields.Probability, fields.Probability]
    eps: fields.PositiveFloat
    weight_decay: fields.NotNegativeFloat
    decay_embeddings: bool
    clip_norm: fields.PositiveFloatOrNull
    schedule: Literal["constant", "cosine", "linear", "inverse_sqrt"]
    warmup_steps: fields.NotNegative
    min_lr_ratio: fields.Share


class TrainerConfig(Strict):
    """``trainer``: the budget and the machine."""

    max_steps: fields.PositiveOrNull
    max_epochs: fields.PositiveOrNull = None
    max_time: fields.SecondsOrNull
    monitor: fields.Label = "loss"
    patience: fields.PositiveOrNull
    average_last: fields.PositiveOrNull
    validate_every: fields.Positive
    log_every: fields.Positive
    accumulate: fields.Positive
    limit_batches: fields.PositiveOrNull
    accelerator: Literal["auto", "cpu", "gpu"]
    precision: Literal["32-true", "bf16-mixed"]
    threads: fields.ThreadsOrNull
    devices: fields.Positive
    deterministic: bool
    compile: bool
    callbacks: tuple[str, ...]

    @model_validator(mode="after")
    def _default_steps(self) -> "TrainerConfig":
        # No default in conf/: there it could not be told from a number that somebody chose beside max_epochs.
        return self.model_copy(update={} if self.max_steps or self.max_epochs else {"max_steps": _DEFAULT_STEPS})

    @field_validator("callbacks")
    @classmethod
    def _installed(cls, callbacks: tuple[str, ...]) -> tuple[str, ...]:
        for name in callbacks:
            if name not in registry.names("callbacks"):
                raise ValueError(registry.unknown("callback", name, registry.names("callbacks")))
            try:
                inspect.signature(registry.load("callbacks", name)).bind()
            except TypeError as error:
                raise ValueError(f"callback '{name}' must be made without arguments: {error}") from None
        return callbacks

    @model_validator(mode="after")
    def _one_process(self) -> "TrainerConfig":
        if self.max_time is not None and self.devices > 1:
            raise ValueError(
                f"max_time={self.max_time:g} with devices={self.devices}: ranks have no common clock; set devices=1"
            )
        if self.compile and self.devices > 1:
            raise ValueError(f"compile=true with devices={self.devices}: only for one process; set devices=1")
        return self


class TrackingConfig(Strict):
    """``tracking``: how W&B sees the run; the local record is always written."""

    wandb: Literal["offline", "online", "disabled"] | None
    project: fields.LabelOrNull
    entity: fields.LabelOrNull
    probes: fields.Probes
    images: fields.NotNegative


class CompareConfig(Strict):
    """``compare``: what a comparison is told before training."""

    metric: fields.LabelOrNull = None
    baseline: Annotated[str, StringConstraints(min_length=1)] | None = None


class SweepConfig(Strict):
    """``sweep``: how ``train -m`` goes about its runs."""

    reuse: Literal["same", "always"] = "same"
    max_time: fields.SecondsOrNull = None


class _Sections(Strict):
    """The sections and keys of a run, each valid for itself."""

    task: fields.part("tasks")  # type: ignore[valid-type]
    data: fields.part("datasets")  # type: ignore[valid-type]
    attention: AttentionConfig
    backbone: fields.part("backbones")  # type: ignore[valid-type]
    optimizer: OptimizerConfig
    trainer: TrainerConfig
    tracking: TrackingConfig
    seed: fields.NotNegative
    data_seed: fields.NotNegative
    order_seed: fields.NotNegativeOrNull = None
    compare: CompareConfig = CompareConfig()
    sweep: SweepConfig = SweepConfig()
    name: fields.LabelOrNull
    tags: tuple[fields.Label, ...]
    notes: str
    runs: Annotated[str, StringConstraints(min_length=1)]
    resume: Annotated[str, StringConstraints(min_length=1)] | None


class RunConfig(_Sections):
    """One training run, whole."""

    @model_validator(mode="after")
    def _data_fit_task(self) -> "RunConfig":
        task, data = self.task_class, registry.load("datasets", self.data.name)
        if data.kind != task.data_kind:
            kinds = {name: registry.load("datasets", name).kind for name in registry.names("datasets")}
            valid = ", ".join(name for name, kind in kinds.items() if kind == task.data_kind)
            raise ValueError(
                f"data={self.data.name} does not fit task={self.task.name}, which learns from {task.data_kind} data; "
                f"valid: {valid}"
            )
        if data.kind != "parallel" and self.data.tokenizer and not self.data.tokenizer.joint:
            raise ValueError("data.tokenizer.joint=false: there is one vocabulary; two are for pairs of languages")
        return self

    @model_validator(mode="after")
    def _backbone_has_the_model_of_the_task(self) -> "RunConfig":
        asked, backbones = self.task_class.architecture, registry.names("backbones")
        if getattr(self.backbone_class, asked) is None:
            able = [one for one in backbones if getattr(registry.load("backbones", one), asked) is not None]
            raise ValueError(
                f"backbone={self.backbone.name} does not define {asked}, the model of task={self.task.name}; valid: "
                f"{', '.join(able) or 'none'}"
            )
        return self

    @model_validator(mode="after")
    def _backbone_does_without_attention(self) -> "RunConfig":
        if self.attention.score is None and not self.backbone_class.without_attention:
            able = [one for one in registry.names("backbones") if registry.load("backbones", one).without_attention]
            raise ValueError(
                f"attention.score=null: in backbone={self.backbone.name} nothing but attention carries what one token says to "
                f"another, so attention=none is only for backbone={' or '.join(able)}"
            )
        return self

    @model_validator(mode="after")
    def _metrics_fit_task(self) -> "RunConfig":
        outputs = self.task_class.outputs
        for name in self.task.metrics:
            lacking = [one for one in registry.load("metrics", name).needs() if one not in outputs]
            if lacking:
                raise ValueError(
                    f"task.metrics: {name} is computed from {', '.join(lacking)}, which task={self.task.name} does not "
                    f"give; it gives: {', '.join(outputs)}"
                )
        return self

    @model_validator(mode="after")
    def _monitored_metric_is_one_of_the_task(self) -> "RunConfig":
        if self.trainer.monitor not in self.task.metrics:
            raise ValueError(
                f"trainer.monitor: {registry.unknown('metric of the task', self.trainer.monitor, self.task.metrics)}"
            )
        if not registry.load("metrics", self.trainer.monitor).fits(self):
            raise ValueError(
                f"trainer.monitor={self.trainer.monitor}: data={self.data.name} does not have what it measures; use loss"
            )
        return self

    @model_validator(mode="after")
    def _precise_enough(self) -> "RunConfig":
        half = self.trainer.precision.startswith(("bf16", "16"))
        for one in sorted({place.normalizer.name for place in self.places.values()}) if half else ():
            if registry.load("normalizers", one).needs_float32:
                raise ValueError(
                    f"trainer.precision={self.trainer.precision}: attention.normalizer={one} chooses keys by differences that "
                    "half precision does not hold; use trainer.precision=32-true"
                )
        return self

    @model_validator(mode="after")
    def _most_tokens_are_predicted(self) -> "RunConfig":
        if self.unscored >= max(1, self.task.max_length // 2):
            raise ValueError(
                f"attention.mask.length={self.unscored + 1}: tokens of the prefix carry no loss, so at most half of "
                f"task.max_length={self.task.max_length} can be one"
            )
        return self

    @model_validator(mode="after")
    def _each_part_of_a_batch_has_rows(self) -> "RunConfig":
        rows, parts = self.data.rows_of(self.task.max_length), self.trainer.devices * self.trainer.accumulate
        key, size = self.data.batch
        if rows < 1:
            raise ValueError(f"{key}={size} holds no row of task.max_length={self.task.max_length} tokens; raise it")
        if rows < parts:
            raise ValueError(
                f"{key}={size} holds {rows} rows of task.max_length={self.task.max_length} tokens, fewer than "
                f"trainer.devices={self.trainer.devices} * trainer.accumulate={self.trainer.accumulate} parts; raise it"
            )
        return self

    @model_validator(mode="after")
    def _compiled_shapes_repeat(self) -> "RunConfig":
        if self.trainer.compile and self.trainer.deterministic and not self.task_class.fixed_shapes:
            raise ValueError(
                f"trainer.compile=true with task={self.task.name}: its batches have many shapes, and what is compiled for "
                "one depends on those before it, so a resumed run would give other bits; add trainer.deterministic=false"
            )
        return self

    @property
    def order(self) -> int:
        """The seed of the order of train batches: ``order_seed``, by default ``data_seed``."""
        return self.data_seed if self.order_seed is None else self.order_seed

    @property
    def task_class(self) -> type[Any]:
        """The class of the task (:class:`attncompare.tasks.base.Task`)."""
        return registry.load("tasks", self.task.name)

    @property
    def backbone_class(self) -> type[Any]:
        """The class of the backbone (:class:`attncompare.model.Backbone`)."""
        return registry.load("backbones", self.backbone.name)

    def to_dict(self) -> dict[str, Any]:
        """Return the config as plain nested dicts and lists, ready for yaml and W&B."""
        return self.model_dump(mode="json")

    def settings(self) -> dict[str, Any]:
        """Return all that decides the run's numbers: what only names, files or shows it is left out."""
        return _deciding(self.to_dict())

    def hash(self) -> str:
        """Return a SHA-256 of all that decides the run's numbers.

        A key whose schema has a default is younger than the first records: it counts where it has another value, so that
        their hashes stay.
        """
        values = _deciding(self.model_dump(mode="json", exclude_defaults=True))
        if self.attention.normalizer.name == _SOFTMAX:  # as a section it does not equal the default, a name
            del values["attention"]["normalizer"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def model_identity(self) -> str:
        """Return a SHA-256 that two configs share exactly if they train the same model in the same way.

        The variant's name does not count, nor how its widths were spelled, nor a mask that the task has anyway or that hides
        nothing, nor in which way the same attention came to a place.
        """
        places = [(site, layer, self._plainly(site, layer)) for site, layer in self.places]
        plain = places[0][2]
        if all(one == plain for _, _, one in places):
            return self.model_copy(update={"attention": plain}).hash()
        told: dict[str, Any] = {}
        before: Any = None
        for site, layer, one in places:
            if (site, one) != before:
                told[f"{site} {layer}"] = one.model_dump(mode="json")
            before = site, one
        same = self.model_copy(update={"attention": plain})
        return hashlib.sha256(json.dumps([same.hash(), told], sort_keys=True).encode()).hexdigest()

    @property
    def places(self) -> dict[tuple[str, int], AttentionConfig]:
        """The attention of the model by site and layer, of each layer from which on it may be another one.

        Layers may be very many, as in a config that a stranger wrote.
        """
        count = getattr(self.backbone, "layers", 1)
        layers = sorted({1} | {int(named) + after for named in self.attention.layers for after in (0, 1)})
        sites = self.backbone_class.places[self.task_class.architecture]
        return {(site, layer): self.attention_at(site, layer) for site in sites for layer in layers if layer <= count}

    @property
    def unscored(self) -> int:
        """How many first targets of each sequence carry no loss: those that a mask opens to the queries before them."""
        masks = (_made(one.mask) for one in self.places.values() if one.mask is not None)
        return max((mask.opened - 1 for mask in masks if mask.opened), default=0)

    def attention_at(self, site: str, layer: int) -> AttentionConfig:
        """Return the attention of a place in the model, as far as the task allows it.

        A mask that opens the first tokens is left out where the task gives none.
        """
        one = self.attention.at(site, layer)
        opens = one.mask is not None and registry.load("masks", one.mask.name).sees_future
        return one.model_copy(update={"mask": None}) if opens and not self.task_class.reads_prefix else one

    def _plainly(self, site: str, layer: int) -> AttentionConfig:
        """Return the attention of a place, in one spelling for all that are the same model."""
        one, task = self.attention_at(site, layer), self.task_class
        update: dict[str, Any] = {"name": "", "sites": {}, "layers": {}, "head_dim": one.width(self.backbone.d_model)}
        # In the decoder and in cross-attention the variant has no say in it.
        update["causal"] = one.causal if site == "encoder" else task.always_causal
        if one.mask is not None:
            nothing = _made(one.mask).hides_nothing(self.task.max_length, update["causal"] or site == "decoder")
            update["mask"] = None if nothing else one.mask
        update["value_dim"] = None if one.value_dim == update["head_dim"] else one.value_dim
        update["kv_heads"] = None if one.kv_heads == one.heads else one.kv_heads
        return one.model_copy(update=update)


def _made(mask: Any) -> Any:
    """Return the mask that a section names (:class:`attncompare.attention.Mask`)."""
    return registry.load("masks", mask.name)(**mask.model_dump(exclude={"name"}))


def parse(values: Any) -> RunConfig:
    """Return ``values``, a config as plain containers, typed, or refuse it: the key, the value, what would be valid."""
    for key, value in leaves(values):
        if problem := _unfit(value):
            raise Refused(f"{shown(key)}={shown(value)}: {problem}")
    try:
        # Through JSON, because strict mode takes lists for tuples only from there.
        text = json.dumps(values)
        _Sections.model_validate_json(text, context=NAMES_ALONE)  # first what is wrong without importing any part
        return RunConfig.model_validate_json(text)
    except ValidationError as error:
        raise Refused(explain(error)) from None
    except (TypeError, ValueError) as error:  # what JSON cannot hold
        raise Refused(f"not a config: {error}") from None


def parse_composed(composed: DictConfig) -> RunConfig:
    """Return what Hydra composed, its references resolved, typed, or refuse it as :func:`parse` does."""
    try:
        check_references(OmegaConf.to_container(composed, resolve=False), "the config")
        values = OmegaConf.to_container(composed, resolve=True)
    except HYDRA_ERRORS as error:
        raise Refused(explain_hydra(error)) from None
    except RecursionError:
        raise Refused("the references of the config go in a circle") from None
    return parse(values)


def with_data(values: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Return the values of a recorded config with others in its section ``data``, as ``--data KEY=VALUE`` asks.

    Refused is a change that is not ``KEY=VALUE``, or whose key is none that may change.
    """
    data = dict(values.get("data") or {})
    valid = [key for key in data if key not in ("name", "tokenizer")]  # the model knows no other tokenizer
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise Refused(f"--data {change}: write KEY=VALUE; valid keys: {', '.join(valid)}")
        if key not in valid:
            raise Refused(registry.unknown("key of --data", key, valid))
        data[key] = safe_yaml(text.encode(), f"--data {key}")
    return {**values, "data": data} if changes else values


def _unfit(value: Any) -> str | None:
    """Return what is wrong with a value wherever it stands, if anything is."""
    if isinstance(value, int) and abs(value) > _LARGEST:
        return f"too large; at most {_LARGEST}"
    if isinstance(value, str) and "${" in value:
        return "${ begins a reference, and a resolved config holds none"
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        return "must be a text in UTF-8 without NUL"
    return None


def _deciding(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in PRESENTATION}
