using Shouldly;

namespace Qkd.Sim.Optics.Tests;

public sealed class SettingsTests
{
    public static TheoryData<string, OpticsSettings> Wrong => new()
    {
        { "Source.SlotPeriodPicoseconds", new() { Source = new() { SlotPeriodPicoseconds = 0 } } },
        { "Source.PhotonsPerPulse", new() { Source = new() { PhotonsPerPulse = [] } } },
        { "Source.PhotonsPerPulse", new() { Source = new() { PhotonsPerPulse = [0.5, -1] } } },
        { "Source.IntensityProbabilities", new() { Source = new() { IntensityProbabilities = [0.5, 1.5] } } },
        { "Source.ZBasisProbability", new() { Source = new() { ZBasisProbability = double.NaN } } },
        { "Source.StateError", new() { Source = new() { StateError = 0.6 } } },
        { "Channel.LengthKm", new() { Channel = new() { LengthKm = -1 } } },
        { "Channel.DriftRadiansPerRootSecond", new() { Channel = new() { DriftRadiansPerRootSecond = -0.1 } } },
        { "Controller.RetardanceWaves", new() { Controller = new() { RetardanceWaves = [0.25, 0.5] } } },
        { "Receiver.ZArmFraction", new() { Receiver = new() { ZArmFraction = 1.1 } } },
        { "Detectors", new() { Detectors = [new()] } },
        { "Detectors[2].Efficiency", new() { Detectors = [new(), new(), new() { Efficiency = 1.2 }, new()] } },
        { "Detectors[3].AfterpulseProbability", new() { Detectors = [new(), new(), new(), new() { AfterpulseProbability = 1 }] } },
        { "Truth.FrameSlots", new() { Truth = new() { FrameSlots = 1000 } } },
        { "Truth.PilotSlots", new() { Truth = new() { PilotSlots = 100 } } },
    };

    [Theory]
    [MemberData(nameof(Wrong), DisableDiscoveryEnumeration = true)]
    public void A_setting_out_of_range_is_refused_by_its_path(string path, OpticsSettings settings)
    {
        var error = Should.Throw<ArgumentException>(() => new OpticalLine(settings, 1));
        error.ParamName.ShouldBe(path);
        error.Message.ShouldContain(path);
    }

    [Fact]
    public void What_is_set_while_running_is_checked_with_the_next_stretch()
    {
        var line = new OpticalLine(new(), 1) { AttenuatorDecibels = -1 };
        Should.Throw<ArgumentException>(() => line.Propagate(0, 64, new ulong[4], 0, new())).ParamName.ShouldBe("AttenuatorDecibels");
        line.AttenuatorDecibels = 0;
        line.PhotonsPerPulse = [1, 1, 1, 1, 1];
        Should.Throw<ArgumentException>(() => line.Propagate(0, 64, new ulong[4], 0, new())).ParamName.ShouldBe("PhotonsPerPulse");
        line.PhotonsPerPulse = [1];
        line.Eavesdropper = new() { Kind = EavesdropperKind.InterceptResend, Fraction = 2 };
        Should.Throw<ArgumentException>(() => line.Propagate(0, 64, new ulong[4], 0, new())).ParamName.ShouldBe("Eavesdropper.Fraction");
    }
}
