"""Storage: the files of whatever file system Spark knows, looked at and put in place from the driver."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from fhiradapter.engines.entries import Entry

READ_AT_ONCE = 1 << 17  # bytes
GLOB = re.compile(r"([\\\[\]{}*?])")


class Storage:
    """Any Hadoop file system: local, hdfs, s3a, abfss, gs, dbfs. Raises OSError for what cannot be done."""

    def __init__(self, spark: SparkSession) -> None:
        self._java: Any = spark._jvm
        self._settings = spark._jsc.hadoopConfiguration()

    def entry(self, path: str) -> Entry | None:
        """Return what stands at a path; None when nothing does."""
        with _said():
            system, place = self._at(path)
            return self._entry(system.getFileStatus(place)) if system.exists(place) else None

    def matches(self, pattern: str) -> list[Entry]:
        """Return what matches a glob, in the order of the paths."""
        with _said():
            system, place = self._at(pattern)
            return sorted(self._entry(found) for found in system.globStatus(place) or ())

    def children(self, folder: Entry) -> list[Entry]:
        """Return what stands in a folder, in the order of the paths."""
        with _said():
            system, place = self._at(folder.path)
            return sorted(self._entry(found) for found in system.listStatus(place))

    def below(self, folder: Entry) -> Iterator[Entry]:
        """Yield everything below a folder, folders before what they hold."""
        for one in self.children(folder):
            yield one
            if one.folder:
                yield from self.below(one)

    @contextmanager
    def opened(self, path: str) -> Iterator[io.BufferedReader]:
        """Open a file to read it from its beginning."""
        with _said():
            system, place = self._at(path)
            stream = system.open(place)
        try:
            yield io.BufferedReader(_Bytes(stream), READ_AT_ONCE)
        finally:
            stream.close()

    def write(self, path: str, content: bytes) -> None:
        """Write a file, in place of an older one."""
        with _said():
            system, place = self._at(path)
            stream = system.create(place, True)
            try:
                stream.write(content)
            finally:
                stream.close()

    def remove(self, path: str) -> None:
        """Remove a file or a folder with all that it holds, if it is there."""
        with _said():
            system, place = self._at(path)
            system.delete(place, True)

    def rename(self, path: str, name: str) -> None:
        """Give a folder another name; on an object store everything in it is copied."""
        with _said():
            system, place = self._at(path)
            if not system.rename(place, self._at(name)[1]):
                raise OSError(f"{path}: could not be renamed")

    def place_here(self, path: str) -> Path | None:
        """Return the path of a file that Python reaches too: of the local file system; None for others."""
        with _said():
            system, place = self._at(path)
            found = place.makeQualified(system.getUri(), system.getWorkingDirectory()).toUri()
            return Path(found.getPath()) if str(found.getScheme()) == "file" else None

    def _at(self, path: str) -> tuple[Any, Any]:
        place = self._java.org.apache.hadoop.fs.Path(path)
        return place.getFileSystem(self._settings), place

    def _entry(self, status: Any) -> Entry:
        # 'file:///a' and 'file:/a' are one path, and Spark writes the second.
        place = self._java.org.apache.hadoop.fs.Path(status.getPath().toString())
        return Entry(
            place.toString(), place.toUri().toString(), int(status.getLen()), bool(status.isDirectory())
        )


def literal(path: str) -> str:
    """Return a path in the way in which Spark takes it for no glob."""
    return GLOB.sub(r"\\\1", path)


class _Bytes(io.RawIOBase):
    """A Java stream as Python reads one."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _said():
            content = self._stream.readNBytes(len(buffer))
        buffer[: len(content)] = content
        return len(content)


@contextmanager
def _said() -> Iterator[None]:
    """Turn what Java says into an OSError, without what a file holds."""
    try:
        yield
    except Py4JJavaError as error:
        name = error.java_exception.getClass().getSimpleName()
        raise OSError(f"the file system says {name}") from error
