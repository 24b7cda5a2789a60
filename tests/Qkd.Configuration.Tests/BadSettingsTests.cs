using Qkd.Configuration.Tests.Support;
using Qkd.Distillation;
using Qkd.Node.Configuration;
using Qkd.Sim.Bench;
using Shouldly;

namespace Qkd.Configuration.Tests;

/// <summary>Each setting that makes no sense ends in one exception that names it.</summary>
[Collection("Environment")]
public sealed class BadSettingsTests
{
    /// <summary>A setting put over bench.json; a third part, where it is not the setting's own path that is told.</summary>
    public static TheoryData<string, string, string?> OfTheNodes => new()
    {
        // Unknown.
        { "Bench:Protocl:FrameSlots", "1000000", "Bench:Protocl" },
        { "Bench:Protocol:FrameSlot", "1000000", null },
        { "Bench:Web:StatusPages", "", null },
        { "Bench:Alice:Roles:Laser", "transmitter", null },
        { "Bench:Alice:Receiver:Channels:0", "1", "Bench:Alice:Receiver" },
        { "Bench:Alice:Attestations:PhaseRandomisation:When", "2026-11-24", null },
        { "Bench:Alice:Devices:attenuator:Adress", "sim:attenuator", null },
        { "Bench:Bob:Devices:tagger:Driver:Name", "idquantique.id900", "Bench:Bob:Devices:tagger:Driver" },
        { "Bench:Bob:Receiver:Attestations:ReceiverModel:Evidense", "none", null },
        { "Bench:Bob:Receiver:Channels:4:Number", "5", "Bench:Bob:Receiver:Channels:4" },
        { "Bench:Bob:Receiver:Channels:first", "5", null },
        { "Bench:Bob:Receiver:Channels:7", "5", null },
        { "Bench:Bob:Polarization:Tracking:On", "true", "Bench:Bob:Polarization:Tracking" },
        { "Bench:DataFolder:Path", "data", "Bench:DataFolder" },

        // Of another kind.
        { "Bench:Protocol", "decoy", null },
        { "Bench:Protocol:QberLimit", "abc", null },
        { "Bench:Protocol:QberLimit", "0,06", null },
        { "Bench:Protocol:FrameSlots", "1e6", null },
        { "Bench:Protocol:FrameSlots", "99999999999", null },
        { "Bench:Protocol:FrameSlots", "", null },
        { "Bench:Protocol:Intensities", "0.45", null },
        { "Bench:Protocol:Intensities:1", "abc", null },
        { "Bench:Bob:Receiver:BiasMicroamperes", "18", null },
        { "Bench:Bob:Receiver:BiasMicroamperes:3", "much", null },
        { "Bench:Bob:Receiver:Channels:0", "1.5", null },
        { "Bench:Bob:Polarization:Tracking", "perhaps", null },
        { "Bench:Bob:Keys:CapacityBits", "much", null },
        { "Bench:Bob:Devices", "all", null },
        { "Bench:Bob:Devices:tagger", "sim:tagger", null },
        { "Bench:Alice:Keys:DeliverLaboratoryKey", "1", null },

        // Out of range.
        { "Bench:DataFolder", "", null },
        { "Bench:Web:StatusPage", "8080", null },
        { "Bench:Protocol:RepetitionRateMHz", "0", null },
        { "Bench:Protocol:RepetitionRateMHz", "NaN", null },
        { "Bench:Protocol:MarkerDivisor", "0", null },
        { "Bench:Protocol:FrameSlots", "1000001", null },
        { "Bench:Protocol:PilotSlots", "100", null },
        { "Bench:Protocol:Intensities:1", "0.5", "Bench:Protocol:Intensities" },
        { "Bench:Protocol:IntensityProbabilities:0", "0.75", "Bench:Protocol:IntensityProbabilities" },
        { "Bench:Protocol:KeyBasisProbability", "1", null },
        { "Bench:Protocol:BlockKeyBits", "-1", null },
        { "Bench:Protocol:InitialBlockFrames", "0", null },
        { "Bench:Protocol:QberLimit", "-0.01", null },
        { "Bench:Protocol:Epsilon", "0", null },
        { "Bench:Protocol:EfficiencyMismatch", "-0.1", null },
        { "Bench:Protocol:DarkCountMismatch", "NaN", null },
        { "Bench:Protocol:DarkCountProbability", "2", null },
        { "Bench:Protocol:QberLimit", "0.51", null },
        { "Bench:Protocol:Epsilon", "1e-31", null },
        { "Bench:Protocol:EfficiencyMismatch", "1", null },
        { "Bench:Protocol:DarkCountMismatch", "1", null },
        { "Bench:Protocol:DarkCountProbability", "0.5", null },
        { "Bench:Alice:Name", "", null },
        { "Bench:Alice:PreparationFrames", "3", null },
        { "Bench:Alice:SymbolMode", "Seeded", null },
        { "Bench:Alice:Attestations:IntensityUncertainty", "-0.1", null },
        { "Bench:Alice:Attestations:RandomSource:Date", "24.11.2026", null },
        { "Bench:Alice:Attestations:RandomSource:Evidence", " ", null },
        { "Bench:Alice:Devices:attenuator:Driver", "", null },
        { "Bench:Alice:Devices:attenuator:Address", "", null },
        { "Bench:Alice:Devices:spare:Driver", "ozoptics.dd100mc", "Bench:Alice:Devices:spare:Address" },
        { "Bench:Alice:Link:Endpoint", "nowhere", null },
        { "Bench:Alice:Link:ClockToleranceMs", "-1", null },
        { "Bench:Bob:Link:BlockTimeoutSeconds", "0", null },
        { "Bench:Bob:Keys:Endpoint", "::1:8443", null },
        { "Bench:Bob:Keys:KeySizeBits", "100", null },
        { "Bench:Bob:Keys:CapacityBits", "0", null },
        { "Bench:Bob:Recording:Enable", "true", null },
        { "Bench:Bob:Recording:Enabled", "1", null },
        { "Bench:Alice:Recording:MaximumMegabytes", "0", null },
        { "Bench:Alice:Recording:Directory", "", null },
        { "Bench:Bob:Receiver:Channels:3", "1", "Bench:Bob:Receiver:Channels" },
        { "Bench:Bob:Receiver:Channels:4", "5", "Bench:Bob:Receiver:Channels" },
        { "Bench:Bob:Receiver:MarkerChannel", "2", null },
        { "Bench:Bob:Receiver:DelaysPicoseconds:4", "0", "Bench:Bob:Receiver:DelaysPicoseconds" },
        { "Bench:Bob:Receiver:DelaysPicoseconds:2", "NaN", null },
        { "Bench:Bob:Receiver:GateWidthPicoseconds", "0", null },
        { "Bench:Bob:Receiver:DeadTimeNanoseconds", "-1", null },
        { "Bench:Bob:Receiver:AcquisitionMs", "100", null },
        { "Bench:Bob:Receiver:ThresholdVolts", "NaN", null },
        { "Bench:Bob:Receiver:CountRateLimitHertz", "0", null },
        { "Bench:Bob:Receiver:SplitterZ", "1", null },
        { "Bench:Bob:Polarization:RealignAbove", "0", null },
        { "Bench:Bob:Polarization:AlignedBelow", "0.6", null },
        { "Bench:Bob:Polarization:AlignedBelow", "0.02", null },
        { "Bench:Bob:Polarization:MaximumMeasurements", "5", null },

        // Of a device that is not there.
        { "Bench:Alice:Roles:Source", "laser", null },
        { "Bench:Alice:Roles:Modulator", "tagger", null },
        { "Bench:Alice:Roles:Attenuator", "", null },
        { "Bench:Bob:Roles:Tagger", "transmitter", null },
        { "Bench:Bob:Roles:Detectors", "detector", null },
        { "Bench:Bob:Roles:Polarization", "controller", null },
    };

    public static TheoryData<string, string, string?> OfTheEmulation => new()
    {
        // Unknown.
        { "Chanel:LengthKm", "3", "Chanel" },
        { "Channel:LengthKilometres", "3", null },
        { "Transmitter:SlotPicoseconds", "10000", null },
        { "Receiver:Efficiencies:first", "0.9", null },
        { "Faults:0:Falt", "Silent", null },
        { "Faults:1:Instrument", "tagger", "Faults:1" },
        { "Ports:All", "7", null },
        { "Seed:Value", "7", "Seed" },

        // Of another kind.
        { "Enabled", "perhaps", null },
        { "Seed", "-1", null },
        { "Clock", "Slow", null },
        { "Clock", "7", null },
        { "Clock", "1", null },
        { "Channel", "long", null },
        { "Channel:LengthKm", "abc", null },
        { "Receiver:Efficiencies", "0.9", null },
        { "Receiver:Efficiencies:0", "good", null },
        { "Eavesdropper:Kind", "Blinding", null },
        { "Faults:0", "tagger", null },
        { "Faults:0:Fault", "Broken", null },

        // Out of range.
        { "ListenAddress", "localhost", null },
        { "Transmitter:RepetitionRateMHz", "300", null },
        { "Transmitter:BufferSlots", "100", null },
        { "Transmitter:OutputPhotonsPerPulse:0", "-1", "Transmitter:OutputPhotonsPerPulse" },
        { "Channel:LengthKm", "-3", null },
        { "Channel:LengthKm", "NaN", null },
        { "Receiver:Efficiencies:0", "0.9", "Receiver:Efficiencies" },
        { "Tagger:MaximumTagRateHertz", "0", null },
        { "Motors:PaddlePowerUpDegrees:0", "85", "Motors:PaddlePowerUpDegrees" },
        { "Eavesdropper:Fraction", "1.5", null },
        { "Ports:Tagger", "65536", null },
        { "Instruments:Tagger", "paddles", "Instruments" },
        { "Faults:0:Instrument", "laser", null },
        { "Truth:PilotSlots", "1", null },
        { "Truth:File", "../truth.jsonl", null },
    };

    [Theory]
    [MemberData(nameof(OfTheNodes))]
    public void A_setting_of_the_nodes_that_makes_no_sense_is_named(string setting, string value, string? named)
    {
        var configuration = BenchConfiguration.Load(SourceTree.Config("bench.json"), [$"--{setting}={value}"]);
        var error = Should.Throw<ConfigurationException>(() => BenchConfiguration.Bind(configuration));
        error.Path.ShouldBe(named ?? setting, error.Message);
        error.Message.ShouldStartWith($"{error.Path}: ");
        error.Message.ShouldNotContain('\n');
        error.Message.Split($"{error.Path}: ").Length.ShouldBe(2, "said once");
    }

    [Theory]
    [MemberData(nameof(OfTheEmulation))]
    public void A_setting_of_the_emulation_that_makes_no_sense_is_named(string setting, string value, string? named)
    {
        var configuration = BenchConfiguration.Load(SourceTree.Config("bench.json"), [$"--Bench:Emulation:{setting}={value}"]);
        var error = Should.Throw<EmulationConfigurationException>(() => EmulationSettings.Load(configuration));
        error.Path.ShouldBe($"Bench:Emulation:{named ?? setting}", error.Message);
        error.Message.ShouldStartWith($"{error.Path}: ");
        error.Message.ShouldNotContain('\n');

        // The nodes leave it to the emulation.
        BenchConfiguration.Bind(configuration).Alice.ShouldNotBeNull();
    }

    [Theory]
    [InlineData("Epsilon=1e-30")]
    [InlineData("Epsilon=1e-3")]
    [InlineData("EfficiencyMismatch=0.999999")]
    [InlineData("DarkCountMismatch=0.999999")]
    [InlineData("DarkCountProbability=0.499999")]
    [InlineData("QberLimit=0.5")]
    public void What_is_accepted_at_the_edge_of_a_range_is_accepted_by_the_bound_too(string setting)
    {
        var protocol = BenchConfiguration.Bind(BenchConfiguration.Load(SourceTree.Config("bench.json"), [$"--Bench:Protocol:{setting}"])).Protocol;
        new SecurityParameters(protocol.Epsilon)
        {
            Mismatch = new DetectorMismatch(protocol.EfficiencyMismatch, protocol.DarkCountMismatch, protocol.DarkCountProbability),
        }.Validate();
    }

    [Fact]
    public void All_that_is_out_of_range_is_in_the_message()
    {
        var configuration = BenchConfiguration.Load(SourceTree.Config("bench.json"), ["--Bench:Protocol:Epsilon=0", "--Bench:Bob:Receiver:SplitterZ=1", "--Bench:Alice:Roles:Source=laser"]);
        var error = Should.Throw<ConfigurationException>(() => BenchConfiguration.Bind(configuration));
        error.Message.ShouldContain("Bench:Protocol:Epsilon");
        error.Message.ShouldContain("Bench:Bob:Receiver:SplitterZ");
        error.Message.ShouldContain("Bench:Alice:Roles:Source");
        BenchOptionsValidator.Problems(new BenchOptions { Protocol = BenchConfiguration.Bind(BenchConfiguration.Load(SourceTree.Config("bench.json"), [])).Protocol })
            .ShouldHaveSingleItem().ShouldStartWith("Bench: ");
    }

    [Theory]
    [InlineData("Options", "7")]
    [InlineData("Options:Endpoints:Counts:0", "anything")]
    [InlineData("Options:SerialNumber", "")]
    public void Options_of_a_driver_are_free_but_are_settings_by_name(string setting, string value)
    {
        var configuration = BenchConfiguration.Load(SourceTree.Config("bench.json"), [$"--Bench:Bob:Devices:detectors:{setting}={value}"]);
        if (setting == "Options")
        {
            Should.Throw<ConfigurationException>(() => BenchConfiguration.Bind(configuration)).Path.ShouldBe("Bench:Bob:Devices:detectors:Options");
        }
        else
        {
            BenchConfiguration.Bind(configuration).Bob!.Devices["detectors"].Options.ShouldHaveSingleItem().ShouldBe(KeyValuePair.Create(setting["Options:".Length..], value));
        }
    }

    [Theory]
    [InlineData("Alice", """{ "Name": null }""", "Bench:Alice:Name")]
    [InlineData("DataFolder", "null", "Bench:DataFolder")]
    [InlineData("Protocol", """{ "QberLimit": null }""", "Bench:Protocol:QberLimit")]
    [InlineData("Protocol", """{ "FrameSlots": {} }""", "Bench:Protocol:FrameSlots")]
    [InlineData("Protocol", """{ "FrameSlots": [] }""", "Bench:Protocol:FrameSlots")]
    [InlineData("Bob", """{ "Receiver": { "Channels": [1, null, 3, 4] } }""", "Bench:Bob:Receiver:Channels:1")]
    [InlineData("Bob", """{ "Polarization": [] , "Web": {} }""", "Bench:Bob:Web")]
    [InlineData("Emulation", """{ "Channel": { "LengthKm": null } }""", "Bench:Emulation:Channel:LengthKm")]
    [InlineData("Emulation", """{ "Clock": null }""", "Bench:Emulation:Clock")]
    public void A_null_in_place_of_a_value_is_refused(string section, string text, string path)
    {
        using var file = new TemporaryFile($$"""{ "Bench": { "{{section}}": {{text}} } }""");
        var configuration = BenchConfiguration.Load(file.Name, []);
        var told = section == "Emulation"
            ? Should.Throw<EmulationConfigurationException>(() => EmulationSettings.Load(configuration)).Path
            : Should.Throw<ConfigurationException>(() => BenchConfiguration.Bind(configuration)).Path;
        told.ShouldBe(path);
    }

    [Fact]
    public void Sections_and_lists_that_are_null_or_empty_are_as_if_they_were_left_out()
    {
        var shipped = File.ReadAllText(SourceTree.Config("bench.json"));
        using var file = new TemporaryFile(Replaced(shipped, ("""{ "StatusPage": "http://127.0.0.1:8080" }""", "null"), ("[18, 18, 18, 18]", "[]"), ("[0, 0, 0, 0]", "null"), ("""{ "Tracking": true }""", "{}")));
        var options = BenchConfiguration.Bind(BenchConfiguration.Load(file.Name, []));
        options.Web.ShouldBe(new WebOptions());
        options.Bob!.Polarization.ShouldBe(new PolarizationOptions());
        options.Bob.Receiver.BiasMicroamperes.ShouldBeEmpty();
        options.Bob.Receiver.DelaysPicoseconds.ShouldBeEmpty();
    }

    private static string Replaced(string text, params (string Old, string New)[] parts) => parts.Aggregate(text, (all, part) =>
    {
        all.ShouldContain(part.Old);
        return all.Replace(part.Old, part.New, StringComparison.Ordinal);
    });
}
