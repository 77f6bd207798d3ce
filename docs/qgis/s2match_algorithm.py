"""QGIS Processing script: match two images with s2match, and load the tie points and the corrected image.

It runs the command ``s2match match`` as a process of its own, so that PyTorch need not be installed in the Python of
QGIS. docs/qgis/README.md explains how to install it.
"""

import os
import shutil
import subprocess
import tempfile

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
)

PRESETS = ("1098 x 1098 px", "fast", "thorough")

# Exit codes of the command that are no errors: results were written, and the summary says why something is missing.
NO_ERRORS = (0, 3, 4)

# Seconds between two looks at the button Cancel.
_POLL_S = 0.2


class S2MatchAlgorithm(QgsProcessingAlgorithm):
    """Tie points between two images, and the target corrected onto the reference."""

    REFERENCE, TARGET, PRESET, MASK = "REFERENCE", "TARGET", "PRESET", "MASK"
    FORCE, COMMAND, TIE_POINTS, CORRECTED = "FORCE", "COMMAND", "TIE_POINTS", "CORRECTED"

    def name(self):
        """Identifier of the algorithm."""
        return "s2match_match"

    def displayName(self):
        """Name in the toolbox."""
        return "Match and co-register two images"

    def group(self):
        """Group in the toolbox."""
        return "s2match"

    def groupId(self):
        """Identifier of the group."""
        return "s2match"

    def shortHelpString(self):
        """Text beside the parameters."""
        return (
            "Finds tie points between two Sentinel-2 images with LoFTR, and writes the target corrected onto the "
            "pixels of the reference. The corrected image is written only if the target needs a correction and agrees "
            "better afterwards, unless it is forced. The log shows the summary: verdict, shift in metres and accuracy."
        )

    def createInstance(self):
        """A new algorithm."""
        return S2MatchAlgorithm()

    def initAlgorithm(self, configuration=None):
        """Declare the parameters."""
        self.addParameter(QgsProcessingParameterRasterLayer(self.REFERENCE, "Reference image"))
        self.addParameter(QgsProcessingParameterRasterLayer(self.TARGET, "Target image, which is corrected"))
        self.addParameter(
            QgsProcessingParameterEnum(self.PRESET, "Pixels to match", options=list(PRESETS), defaultValue=0)
        )
        self.addParameter(QgsProcessingParameterVectorLayer(self.MASK, "Polygons that are not matched", optional=True))
        self.addParameter(
            QgsProcessingParameterBoolean(self.FORCE, "Correct even if it is not needed", defaultValue=False)
        )
        self.addParameter(QgsProcessingParameterString(self.COMMAND, "Path of the command", defaultValue="s2match"))
        self.addParameter(QgsProcessingParameterFileDestination(self.TIE_POINTS, "Tie points", "GeoPackage (*.gpkg)"))
        self.addParameter(
            QgsProcessingParameterFileDestination(
                self.CORRECTED, "Corrected image", "GeoTIFF (*.tif)", optional=True, createByDefault=False
            )
        )

    def processAlgorithm(self, parameters, context, feedback):
        """Run the command, and load what it wrote."""
        tie_points = self.parameterAsFileOutput(parameters, self.TIE_POINTS, context)
        corrected = self.parameterAsFileOutput(parameters, self.CORRECTED, context)
        words = self.command_line(parameters, context, tie_points, corrected)
        feedback.pushCommandInfo(subprocess.list2cmdline(words))
        code = _run(words, feedback)
        if code not in NO_ERRORS:
            raise QgsProcessingException(f"s2match ended with exit code {code}; the log has its message.")
        results = {}
        for name, path, title in (
            (self.TIE_POINTS, tie_points, "Tie points"),
            (self.CORRECTED, corrected, "Corrected image"),
        ):
            # a corrected image is written only if it is needed
            if path and os.path.exists(path):
                details = QgsProcessingContext.LayerDetails(title, context.project(), name)
                context.addLayerToLoadOnCompletion(path, details)
                results[name] = path
        return results

    def command_line(self, parameters, context, tie_points, corrected):
        """The words of the command.

        Args:
            parameters: Values of the parameters.
            context: Context of Processing.
            tie_points: File of the tie points.
            corrected: File of the corrected image; empty for none.
        """
        command = self.parameterAsString(parameters, self.COMMAND, context).strip() or "s2match"
        program = shutil.which(command)
        if program is None:
            raise QgsProcessingException(
                f"There is no command {command!r}: install s2match, and give the path of its command, such as "
                "/home/me/.venv/bin/s2match."
            )
        images = [
            _file_of(self.parameterAsRasterLayer(parameters, name, context)) for name in (self.REFERENCE, self.TARGET)
        ]
        words = [program, "match", "--images", *images, "--tie_points", tie_points]
        # QGIS has asked before it replaces files
        words += ["--no-figure", "--no-show", "--overwrite"]
        preset = self.parameterAsEnum(parameters, self.PRESET, context)
        if preset:
            words += ["--preset", PRESETS[preset]]
        mask = self.parameterAsVectorLayer(parameters, self.MASK, context)
        if mask is not None:
            words += ["--mask", _file_of(mask)]
        if corrected:
            words += ["--coregister", corrected]
            if self.parameterAsBool(parameters, self.FORCE, context):
                words.append("--force")
        return words


def _file_of(layer):
    """File of a layer; QGIS writes the name of the layer behind it."""
    return layer.source().split("|")[0]


def _run(words, feedback):
    """Run a command, show its output in the log, and end it if the user cancels; returns the exit code."""
    hidden = {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {}
    # QGIS' own Python must not be that of the command
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    # a file, because a pipe that nobody reads would stop the command
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, env=environment, **hidden)
        while True:
            try:
                code = process.wait(timeout=_POLL_S)
                break
            except subprocess.TimeoutExpired:
                if feedback.isCanceled():
                    process.kill()
        output.seek(0)
        for line in output:
            (feedback.pushInfo if code in NO_ERRORS else feedback.reportError)(line.rstrip())
    return code
