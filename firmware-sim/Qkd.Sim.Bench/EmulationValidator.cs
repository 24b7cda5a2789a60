using System.Globalization;
using System.Net;

namespace Qkd.Sim.Bench;

/// <summary>Checks the settings of the emulated world; the first problem is told with the path of its setting.</summary>
internal static class EmulationValidator
{
    public static void Validate(EmulationSettings settings, string path)
    {
        Require(IPAddress.TryParse(settings.ListenAddress, out _), $"{path}:ListenAddress", settings.ListenAddress, "a numeric address");
        Transmitter(settings.Transmitter, $"{path}:Transmitter");
        InRange(settings.Channel.LengthKm, 0, 1000, $"{path}:Channel:LengthKm");
        InRange(settings.Channel.AttenuationDbPerKm, 0, 10, $"{path}:Channel:AttenuationDbPerKm");
        InRange(settings.Channel.ExtraLossDb, 0, 100, $"{path}:Channel:ExtraLossDb");
        InRange(settings.Channel.DriftRadiansPerRootSecond, 0, 10, $"{path}:Channel:DriftRadiansPerRootSecond");
        Receiver(settings.Receiver, $"{path}:Receiver");
        InRange(settings.Tagger.ClockOffsetPpm, -1000, 1000, $"{path}:Tagger:ClockOffsetPpm");
        InRange(settings.Tagger.ClockDriftPpmPerSecond, -10, 10, $"{path}:Tagger:ClockDriftPpmPerSecond");
        InRange(settings.Tagger.ClockOffsetPicoseconds, 0, 1e15, $"{path}:Tagger:ClockOffsetPicoseconds");
        InRange(settings.Tagger.MarkerDelayPicoseconds, -1e6, 1e6, $"{path}:Tagger:MarkerDelayPicoseconds");
        InRange(settings.Tagger.MaximumTagRateHertz, 1, 1e9, $"{path}:Tagger:MaximumTagRateHertz");
        InRange(settings.Motors.AttenuatorPowerUpDb, 0, 60, $"{path}:Motors:AttenuatorPowerUpDb");
        List(settings.Motors.PaddlePowerUpDegrees, 3, 3, 0, 170, $"{path}:Motors:PaddlePowerUpDegrees");
        InRange(settings.Eavesdropper.Fraction, 0, 1, $"{path}:Eavesdropper:Fraction");
        InRange(settings.Eavesdropper.StartAfterSeconds, 0, 1e6, $"{path}:Eavesdropper:StartAfterSeconds");
        foreach (var (name, port) in settings.Ports.All)
        {
            InRange(port, 0, 65_535, $"{path}:Ports:{name}");
        }

        Truth(settings.Truth, $"{path}:Truth");
        Names(settings, path);
    }

    private static void Transmitter(TransmitterEmulation transmitter, string path)
    {
        var rate = transmitter.RepetitionRateMHz;
        InRange(rate, 0.001, 5000, $"{path}:RepetitionRateMHz");
        Require(
            Math.Abs((transmitter.SlotPicoseconds * rate * 1e-6) - 1) < 1e-12,
            $"{path}:RepetitionRateMHz",
            rate,
            "a rate of which a slot is a whole number of picoseconds");
        List(transmitter.OutputPhotonsPerPulse, 1, 4, 0, 1e9, $"{path}:OutputPhotonsPerPulse");
        List(transmitter.IntensityProbabilities, 0, 4, 0, 1, $"{path}:IntensityProbabilities");
        InRange(transmitter.ZBasisProbability, 0, 1, $"{path}:ZBasisProbability");
        InRange(transmitter.StateError, 0, 0.5, $"{path}:StateError");
        InRange(transmitter.BasisSkewRadians, -0.5, 0.5, $"{path}:BasisSkewRadians");
        Require(transmitter.BufferSlots > 0 && transmitter.BufferSlots % 64 == 0, $"{path}:BufferSlots", transmitter.BufferSlots, "a positive multiple of 64");
        InRange(transmitter.LeaseSeconds, 0.01, 3600, $"{path}:LeaseSeconds");
        InRange(transmitter.HostPatienceSeconds, 0.1, 3600, $"{path}:HostPatienceSeconds");
    }

    private static void Receiver(ReceiverEmulation receiver, string path)
    {
        InRange(receiver.InsertionLossDb, 0, 100, $"{path}:InsertionLossDb");
        InRange(receiver.ZArmFraction, 0, 1, $"{path}:ZArmFraction");
        InRange(receiver.ZExtinctionDb, 0, 100, $"{path}:ZExtinctionDb");
        InRange(receiver.XExtinctionDb, 0, 100, $"{path}:XExtinctionDb");
        List(receiver.PaddleRetardanceWaves, 3, 3, 0, 1, $"{path}:PaddleRetardanceWaves");
        InRange(receiver.Efficiency, 0, 1, $"{path}:Efficiency");
        List(receiver.Efficiencies, 4, 4, 0, 1, $"{path}:Efficiencies");
        InRange(receiver.DarkCountsPerSecond, 0, 1e7, $"{path}:DarkCountsPerSecond");
        InRange(receiver.DeadTimeNanoseconds, 0, 1e6, $"{path}:DeadTimeNanoseconds");
        InRange(receiver.AfterpulseProbability, 0, 0.5, $"{path}:AfterpulseProbability");
        InRange(receiver.AfterpulseDecayNanoseconds, 0.001, 1e6, $"{path}:AfterpulseDecayNanoseconds");
        InRange(receiver.JitterPicoseconds, 0, 2000, $"{path}:JitterPicoseconds");
    }

    private static void Truth(TruthEmulation truth, string path)
    {
        Require(truth.FrameSlots > 0 && truth.FrameSlots % 64 == 0, $"{path}:FrameSlots", truth.FrameSlots, "a positive multiple of 64");
        Require(
            truth.PilotSlots >= 0 && truth.PilotSlots % 64 == 0 && truth.PilotSlots <= truth.FrameSlots,
            $"{path}:PilotSlots",
            truth.PilotSlots,
            "a multiple of 64 up to FrameSlots");
        InRange(truth.FramesKept, 0, 100_000, $"{path}:FramesKept");
        InRange(truth.PeriodSeconds, 0.01, 3600, $"{path}:PeriodSeconds");
        Require(Path.GetFileName(truth.File) == truth.File, $"{path}:File", truth.File, "a file name without a folder");
    }

    private static void Names(EmulationSettings settings, string path)
    {
        var names = settings.Instruments.All;
        Require(
            names.All(name => name.Length > 0) && names.Distinct(StringComparer.OrdinalIgnoreCase).Count() == names.Count,
            $"{path}:Instruments",
            string.Join(", ", names),
            "five different names");
        for (var i = 0; i < settings.Faults.Count; i++)
        {
            var (fault, entry) = (settings.Faults[i], $"{path}:Faults:{i}");
            Require(names.Contains(fault.Instrument, StringComparer.OrdinalIgnoreCase), $"{entry}:Instrument", fault.Instrument, $"one of {string.Join(", ", names)}");
            InRange(fault.AfterSeconds, 0, 1e6, $"{entry}:AfterSeconds");
            InRange(fault.ForSeconds, 0, 1e6, $"{entry}:ForSeconds");
        }
    }

    private static void List(IReadOnlyList<double>? values, int fewest, int most, double minimum, double maximum, string path)
    {
        if (values is null)
        {
            return;
        }

        Require(values.Count >= fewest && values.Count <= most, path, $"a list of {values.Count}", fewest == most ? $"a list of {fewest}" : $"a list of {fewest} to {most}");
        foreach (var value in values)
        {
            InRange(value, minimum, maximum, path);
        }
    }

    private static void InRange(double value, double minimum, double maximum, string path) =>
        Require(value >= minimum && value <= maximum, path, value, string.Create(CultureInfo.InvariantCulture, $"{minimum} to {maximum}"));

    private static void Require(bool holds, string path, object value, string expected)
    {
        if (!holds)
        {
            throw new EmulationConfigurationException(path, string.Create(CultureInfo.InvariantCulture, $"{value} is not {expected}."));
        }
    }
}
