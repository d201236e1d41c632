"""RELION's labels whose values are numbers, in the tables that particle programs exchange."""

from __future__ import annotations

_NUMBERS = """
    AccumMotionEarly AccumMotionLate AccumMotionTotal AmplitudeContrast AmplitudeCorrelationMaskedMaps
    AmplitudeCorrelationUnmaskedMaps AnglePsi AnglePsiFlip AnglePsiFlipRatio AnglePsiPrior AngleRot AngleRotFlipRatio
    AngleRotPrior AngleTilt AngleTiltPrior AngstromResolution AutopickFigureOfMerit BeamTiltClass BeamTiltX BeamTiltY
    BfactorUsedForSharpening ClassNumber ClassDistribution CoordinateX CoordinateY CoordinateZ
    CorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps CtfAstigmatism CtfBfactor CtfDataAreCtfPremultiplied
    CtfDataArePhaseFlipped CtfFigureOfMerit CtfMaxResolution CtfScalefactor CtfValidationScore CurrentResolution
    DefocusAngle DefocusU DefocusV DetectorPixelSize DifferentialPhaseResidualMaskedMaps
    DifferentialPhaseResidualUnmaskedMaps EnergyLoss EstimatedResolution FinalResolution FourierCompleteness
    FourierShellCorrelation FourierShellCorrelationCorrected FourierShellCorrelationMaskedMaps
    FourierShellCorrelationParticleMaskFraction FourierShellCorrelationParticleMolWeight
    FourierShellCorrelationUnmaskedMaps GoldStandardFsc GroupNumber GroupNrParticles GroupScaleCorrection
    HelicalRise HelicalTrackLength HelicalTrackLengthAngst HelicalTubeID HelicalTubePitch HelicalTwist
    ImageDimensionality ImageId ImagePixelSize ImageSize ImageSizeX ImageSizeY ImageSizeZ ImageWeight IsFlip
    KullbackLeiblerDivergence KurtosisExcessValue LogLikeliContribution LogLikelihood MagMat00 MagMat01 MagMat10
    MagMat11 Magnification MagnificationCorrection MaximumValue MaxValueProbDistribution MicrographBinning
    MicrographDoseRate MicrographFrameNumber MicrographId MicrographOriginalPixelSize MicrographPixelSize
    MicrographPreExposure MicrographTiltAngle MinimumValue MolecularWeight NormCorrection NrOfFrames
    NrOfSignificantSamples OpticsGroup OriginX OriginXAngst OriginXPrior OriginXPriorAngst OriginY OriginYAngst
    OriginYPrior OriginYPriorAngst OriginZ OriginZAngst OriginZPrior OriginZPriorAngst OriginalImageSize
    OverallAccuracyRotations OverallAccuracyTranslationsAngst ParticleBoxFractionMolecularWeight
    ParticleBoxFractionSolventMask ParticleFigureOfMerit ParticleId ParticleNumber ParticleSelectZScore PhaseShift
    PixelSize RandomSubset RandomiseFrom ReferenceSigma2 ReferenceSpectralPower ReferenceTau2 Resolution
    ResolutionInversePixel ResolutionSquared Selected Sigma2Noise SignalToNoiseRatio SkewnessValue SpectralIndex
    SphericalAberration SsnrMap StandardDeviationValue TomoParticleId TomoSubTomosAre2DStacks TomoSubtomogramBinning
    TomoTiltSeriesPixelSize Voltage
"""
NUMBERS = frozenset(f"rln{name}" for name in _NUMBERS.split())
"""A column of these holds numbers however they are written; every other column is text unless numbers lose nothing."""

_TEXTS = frozenset(("cryosparcUid", "rlnComment"))


def is_text(label: str) -> bool:
    """Return whether a column's values are text even where all of them are written like numbers."""
    return label in _TEXTS or label.endswith("Name")
