"""Find agency plugins, judge them before they are used, and keep the broken ones apart (P18)."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TypeVar

import pluggy

from gateway.agencies.agency import Agency, Fault
from gateway.agencies.calling import Patience, Raised, Silent, call
from gateway.agencies.with_own import WithOwnLayouts, own_layouts
from gateway.errors import GatewayError, PluginError, PluginUnavailable
from gateway.hookspecs import API_VERSION, ENTRY_POINT_GROUP, OLDEST_MAJOR, PROJECT, AgencyHooks

T = TypeVar("T")
_VERSION = re.compile(r"(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})")


class Agencies:
    """All agency plugins: those that loaded by key, and those that did not with the reason.

    *warnings* are by key as well: what a plugin that loaded should be told, such as that its boundary is an old one.

    Args:
        plugins: (name, plugin) of each.
        patience: how long plugins are waited for.
        own: folder of the operator's own profiles, ``AGENCY/NAME.toml``; None for none.
    """

    def __init__(
        self, plugins: Iterable[tuple[str, object]], patience: Patience | None = None, own: Path | None = None
    ) -> None:
        self._manager, self._patience = pluggy.PluginManager(PROJECT), patience or Patience()
        self._own = profiles_in(own)
        self._manager.add_hookspecs(AgencyHooks)
        self.loaded: dict[str, Agency] = {}
        self.broken: dict[str, str] = {}
        self.warnings: dict[str, tuple[str, ...]] = {}
        for name, plugin in plugins:
            self._take(name, partial(_itself, plugin))

    @classmethod
    def load(cls, patience: Patience | None = None, own: Path | None = None) -> Agencies:
        """Load every plugin installed under the entry-point group; a broken one stops nobody else."""
        agencies = cls((), patience, own)
        found: dict[str, EntryPoint] = {}
        for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: (entry.name, entry.value)):
            if found.setdefault(entry.name, entry).value != entry.value:
                agencies.broken[entry.name] = f"two packages claim this name: {found[entry.name].value}, {entry.value}"
        for name, entry in found.items():
            if name not in agencies.broken:
                agencies._take(name, entry.load)
        for key in agencies._own.keys() - agencies.loaded.keys() - agencies.broken.keys():
            agencies.broken[key] = "is not installed, and profiles of your own wait for it"
        return agencies

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with plugins that loaded, as far as this process knows."""
        return tuple(fault for agency in self.loaded.values() for fault in agency.faults)

    def __getitem__(self, key: str) -> Agency:
        """Return the agency called *key*; raises ``PluginUnavailable`` with the reason when it is not there."""
        if key in self.loaded:
            return self.loaded[key]
        raise PluginUnavailable(f"agency plugin {key!r}: {self.broken.get(key, 'is not installed')}")

    def __iter__(self) -> Iterator[Agency]:
        return iter(self.loaded.values())

    def _take(self, name: str, load: Callable[[], object]) -> None:
        """Take one plugin, or note why not. It is somebody else's code: whatever it raises is shown, not spread."""
        try:
            plugin = _bounded(load, self._patience.load, "cannot be imported")
            self.loaded[name], self.warnings[name] = self._judged(name, plugin)
        except Exception as error:  # noqa: BLE001  # even looking at its attributes runs its code
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            self.broken[name] = str(error) if isinstance(error, GatewayError) else f"{type(error).__name__}: {error}"

    def _judged(self, name: str, plugin: object) -> tuple[Agency, tuple[str, ...]]:
        if not isinstance(plugin, AgencyHooks):
            raise PluginError(f"is {type(plugin).__name__}, not AgencyHooks")
        told = judged_version(plugin.api_version)
        _refuse_odd_hookimpls(plugin)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")  # pluggy warns of hooks and arguments that are to go
            try:
                self._manager.register(plugin, name=name)
            except (ValueError, pluggy.PluginValidationError) as error:
                raise PluginError(str(error)) from error
        agency = Agency(self._manager, plugin, self._patience)
        if agency.profile.key != name:
            raise PluginError(f"entry point {name!r} holds agency {agency.profile.key!r}")
        own = own_layouts(self._own.get(name, ()), agency.profile)
        if own.layouts:
            agency = WithOwnLayouts(self._manager, plugin, self._patience, own.layouts)
        return agency, tuple(filter(None, (told, *(str(warning.message) for warning in caught), *own.refused)))


def profiles_in(folder: Path | None) -> dict[str, tuple[Path, ...]]:
    """Return the profiles of an operator's folder by the key of the agency they are for."""
    if folder is None or not folder.is_dir():
        return {}
    found = {path.name: tuple(sorted(path.glob("*.toml"))) for path in sorted(folder.iterdir()) if path.is_dir()}
    return {key: paths for key, paths in found.items() if paths}


def judged_version(built_for: object, host: str = API_VERSION, oldest_major: int = OLDEST_MAJOR) -> str:
    """Return what to warn about in a plugin built for version *built_for* of the boundary; empty when it fits.

    Args:
        built_for: what the plugin states.
        host: the version spoken here.
        oldest_major: the oldest first number that still works here.

    Raises:
        PluginError: it cannot work here, or does not say what it was built for.
    """
    if not isinstance(built_for, str) or not _VERSION.fullmatch(built_for):
        raise PluginError(f'does not say which boundary it was built for; today\'s is api_version = "{host}"')
    major, minor = map(int, built_for.split("."))
    host_major, host_minor = map(int, host.split("."))
    if major > host_major:
        raise PluginError(f"was built for boundary {built_for}; this Kravport speaks {host} and must be updated first")
    if major < oldest_major:
        raise PluginError(f"was built for boundary {built_for}, which is no longer kept; this Kravport speaks {host}")
    if major < host_major:
        return (
            f"was built for boundary {built_for}; this Kravport speaks {host}. Build it anew: {major} will be dropped"
        )
    if minor > host_minor:
        return f"was built for boundary {built_for}; this Kravport speaks {host} and may lack what it counts on"
    return ""


def _itself(plugin: object) -> object:
    return plugin


def _bounded(work: Callable[[], T], seconds: float, what: str) -> T:
    try:
        return call(work, seconds)
    except Silent as error:
        raise PluginError(f"{what}: {error}") from None
    except Raised as told:
        raise PluginError(f"{what}: {type(told.error).__name__}: {told.error}") from told.error


def _refuse_odd_hookimpls(plugin: AgencyHooks) -> None:
    """Refuse what pluggy would accept and then not call as written, or not call at all."""
    hooks = {name for name, member in vars(AgencyHooks).items() if hasattr(member, f"{PROJECT}_spec")}
    for name, member in inspect.getmembers(plugin, inspect.isroutine):
        options = getattr(member, f"{PROJECT}_impl", None)
        if options is None:
            if name in hooks and getattr(type(plugin), name, None) is not getattr(AgencyHooks, name):
                raise PluginError(f"{name}: lacks @hookimpl and would never be called")
            continue
        if name not in hooks:
            raise PluginError(f"{name}: there is no such hook")
        if options["specname"]:
            raise PluginError(f"{name}: specname is not allowed")
        for parameter in inspect.signature(member).parameters.values():
            if parameter.default is not parameter.empty or parameter.kind is parameter.KEYWORD_ONLY:
                raise PluginError(f"{name}({parameter.name}): no defaults and no keyword-only parameters in hooks")
