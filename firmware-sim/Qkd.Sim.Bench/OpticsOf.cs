using Qkd.Sim.Optics;

namespace Qkd.Sim.Bench;

/// <summary>The settings of the bench in the terms of the optics.</summary>
internal static class OpticsOf
{
    public static OpticsSettings Settings(EmulationSettings settings, IReadOnlyList<double> photonsPerPulse)
    {
        var (transmitter, channel, receiver) = (settings.Transmitter, settings.Channel, settings.Receiver);
        var source = new SourceSettings
        {
            SlotPeriodPicoseconds = transmitter.SlotPicoseconds,
            PhotonsPerPulse = photonsPerPulse,
            ZBasisProbability = transmitter.ZBasisProbability,
            StateError = transmitter.StateError,
            BasisSkewRadians = transmitter.BasisSkewRadians,
        };
        var controller = new ControllerSettings();
        return new OpticsSettings
        {
            Source = transmitter.IntensityProbabilities is { } probabilities ? source with { IntensityProbabilities = probabilities } : source,
            Channel = new ChannelSettings
            {
                LengthKm = channel.LengthKm,
                LossDecibelsPerKm = channel.AttenuationDbPerKm,
                ExtraLossDecibels = channel.ExtraLossDb,
                RandomRotation = channel.RandomRotation,
                DriftRadiansPerRootSecond = channel.DriftRadiansPerRootSecond,
            },
            Controller = receiver.PaddleRetardanceWaves is { } waves ? new ControllerSettings { RetardanceWaves = waves } : controller,
            Receiver = new ReceiverSettings
            {
                InsertionLossDecibels = receiver.InsertionLossDb,
                ZArmFraction = receiver.ZArmFraction,
                ZExtinctionDecibels = receiver.ZExtinctionDb,
                XExtinctionDecibels = receiver.XExtinctionDb,
            },
            Detectors = [.. Enumerable.Range(0, OpticalLine.DetectorCount).Select(detector => new DetectorSettings
            {
                Efficiency = receiver.Efficiencies?[detector] ?? receiver.Efficiency,
                DarkCountsPerSecond = receiver.DarkCountsPerSecond,
                DeadTimePicoseconds = (long)Math.Round(receiver.DeadTimeNanoseconds * 1e3),
                AfterpulseProbability = receiver.AfterpulseProbability,
                AfterpulseDecayPicoseconds = receiver.AfterpulseDecayNanoseconds * 1e3,
                JitterPicoseconds = receiver.JitterPicoseconds,
            })],
            Truth = new TruthSettings
            {
                FrameSlots = settings.Truth.FrameSlots,
                PilotSlots = settings.Truth.PilotSlots,
                FramesKept = settings.Truth.FramesKept,
            },
        };
    }
}
