using Microsoft.Extensions.Configuration;
using Qkd.Sim.Firmware;
using Qkd.Sim.Optics;
using Shouldly;

namespace Qkd.Sim.Bench.Tests;

public sealed class EmulationSettingsTests
{
    [Fact]
    public void Binds_what_the_section_says_and_leaves_the_rest_as_it_is()
    {
        var settings = Bind(
            ("Seed", "7"),
            ("Clock", "RealTime"),
            ("Channel:LengthKm", "40"),
            ("Receiver:Efficiencies:0", "0.8"),
            ("Receiver:Efficiencies:1", "0.81"),
            ("Receiver:Efficiencies:2", "0.82"),
            ("Receiver:Efficiencies:3", "0.83"),
            ("Eavesdropper:Kind", "InterceptResend"),
            ("Eavesdropper:Fraction", "0.1"),
            ("Faults:0:Instrument", "tagger"),
            ("Faults:0:Fault", "Silent"),
            ("Faults:0:AfterSeconds", "3"));
        settings.Enabled.ShouldBeTrue();
        settings.Seed.ShouldBe(7ul);
        settings.Clock.ShouldBe(BenchClockMode.RealTime);
        settings.Channel.ShouldBe(new ChannelEmulation { LengthKm = 40 });
        settings.Receiver.Efficiencies.ShouldBe([0.8, 0.81, 0.82, 0.83]);
        settings.Eavesdropper.Kind.ShouldBe(EavesdropperKind.InterceptResend);
        settings.Faults.ShouldHaveSingleItem().ShouldBe(new FaultEmulation { Instrument = "tagger", Fault = InstrumentFault.Silent, AfterSeconds = 3 });
        settings.Transmitter.ShouldBe(new TransmitterEmulation());
    }

    [Fact]
    public void Without_the_section_nothing_is_emulated()
    {
        EmulationSettings.Bind(Configuration([]).GetSection("Bench:Emulation")).Enabled.ShouldBeFalse();
        Bind(("Seed", "1")).Enabled.ShouldBeTrue();
        Bind(("Enabled", "false")).Enabled.ShouldBeFalse();
    }

    [Theory]
    [InlineData("Channel:LengthKm", "-1", "Bench:Emulation:Channel:LengthKm: -1 is not 0 to 1000.")]
    [InlineData("Channel:LengthKm", "NaN", "Bench:Emulation:Channel:LengthKm: NaN is not 0 to 1000.")]
    [InlineData("Channel:LengthKm", "far", "Bench:Emulation:Channel:LengthKm")]
    [InlineData("Channel:Lenght", "20", "Lenght")]
    [InlineData("Clock", "Slow", "Bench:Emulation:Clock")]
    [InlineData("Eavesdropper:Fraction", "1.1", "Bench:Emulation:Eavesdropper:Fraction: 1.1 is not 0 to 1.")]
    [InlineData("Transmitter:RepetitionRateMHz", "300", "Bench:Emulation:Transmitter:RepetitionRateMHz: 300 is not a rate of which a slot is a whole number of picoseconds.")]
    [InlineData("Transmitter:BufferSlots", "100", "Bench:Emulation:Transmitter:BufferSlots: 100 is not a positive multiple of 64.")]
    [InlineData("Receiver:Efficiencies:0", "0.5", "Bench:Emulation:Receiver:Efficiencies: a list of 1 is not a list of 4.")]
    [InlineData("Truth:File", "../truth", "Bench:Emulation:Truth:File: ../truth is not a file name without a folder.")]
    [InlineData("Truth:FrameSlots", "1000", "Bench:Emulation:Truth:FrameSlots: 1000 is not a positive multiple of 64.")]
    [InlineData("Instruments:Tagger", "paddles", "Bench:Emulation:Instruments")]
    [InlineData("Faults:0:Instrument", "laser", "Bench:Emulation:Faults:0:Instrument: laser is not one of")]
    [InlineData("Ports:Tagger", "70000", "Bench:Emulation:Ports:Tagger: 70000 is not 0 to 65535.")]
    [InlineData("ListenAddress", "localhost", "Bench:Emulation:ListenAddress: localhost is not a numeric address.")]
    [InlineData("Transmitter:HostPatienceSeconds", "0", "Bench:Emulation:Transmitter:HostPatienceSeconds")]
    [InlineData("Truth:PeriodSeconds", "0", "Bench:Emulation:Truth:PeriodSeconds")]
    public void A_bad_setting_is_told_with_its_path(string key, string value, string expected)
    {
        var error = Should.Throw<EmulationConfigurationException>(() => Bind((key, value))).Message;
        error.ShouldStartWith("Bench:Emulation");
        error.ShouldContain(expected);
    }

    [Fact]
    public void What_the_nodes_agree_on_need_not_be_said_twice()
    {
        (string, string)[] protocol =
        [
            ("Bench:Protocol:RepetitionRateMHz", "50"), ("Bench:Protocol:FrameSlots", "640000"), ("Bench:Protocol:PilotSlots", "1280"),
            ("Bench:Protocol:Intensities:0", "0.5"), ("Bench:Protocol:Intensities:1", "0.1"), ("Bench:Protocol:IntensityProbabilities:0", "0.75"),
            ("Bench:Protocol:IntensityProbabilities:1", "0.25"), ("Bench:Protocol:KeyBasisProbability", "0.9"),
        ];
        var settings = EmulationSettings.Load(Configuration([.. protocol, ("Bench:Emulation:Enabled", "true")]));
        settings.Transmitter.RepetitionRateMHz.ShouldBe(50);
        settings.Transmitter.OutputPhotonsPerPulse.ShouldBe([20_000, 4000]);
        settings.Transmitter.IntensityProbabilities.ShouldBe([0.75, 0.25]);
        settings.Transmitter.ZBasisProbability.ShouldBe(0.9);
        settings.Truth.FrameSlots.ShouldBe(640_000);
        settings.Truth.PilotSlots.ShouldBe(1280);

        settings = EmulationSettings.Load(Configuration(
        [
            .. protocol, ("Bench:Emulation:Transmitter:RepetitionRateMHz", "10"), ("Bench:Emulation:Transmitter:ZBasisProbability", "0.5"),
            ("Bench:Emulation:Truth:PilotSlots", "64"),
        ]));
        settings.Transmitter.RepetitionRateMHz.ShouldBe(10);
        settings.Transmitter.ZBasisProbability.ShouldBe(0.5);
        settings.Truth.PilotSlots.ShouldBe(64);
        settings.Truth.FrameSlots.ShouldBe(640_000);

        Should.Throw<EmulationConfigurationException>(() => EmulationSettings.Load(Configuration([("Bench:Protocol:FrameSlots", "many"), ("Bench:Emulation:Seed", "1")])))
            .Message.ShouldStartWith("Bench:Protocol:FrameSlots");
    }

    [Theory]
    [InlineData("bench.json", true)]
    [InlineData("alice.json", false)]
    [InlineData("bob.json", false)]
    public void The_configurations_shipped_are_read(string file, bool emulated)
    {
        var configuration = new ConfigurationBuilder().AddJsonFile(Path.Combine(AppContext.BaseDirectory, "config", file)).Build();
        var settings = EmulationSettings.Load(configuration);
        settings.Enabled.ShouldBe(emulated);
        settings.Transmitter.IntensityProbabilities.ShouldBe([0.5, 0.3125, 0.1875]);
        settings.Truth.FrameSlots.ShouldBe(1_000_000);
        settings.Truth.PilotSlots.ShouldBe(4096);
    }

    [Fact]
    public void The_optics_follow_the_settings()
    {
        var settings = Bind(
            ("Transmitter:RepetitionRateMHz", "200"), ("Transmitter:ZBasisProbability", "0.75"), ("Transmitter:IntensityProbabilities:0", "1"),
            ("Channel:AttenuationDbPerKm", "0.16"), ("Channel:ExtraLossDb", "2"), ("Receiver:DeadTimeNanoseconds", "30"), ("Receiver:Efficiency", "0.7"),
            ("Receiver:PaddleRetardanceWaves:0", "0.25"), ("Receiver:PaddleRetardanceWaves:1", "0.5"), ("Receiver:PaddleRetardanceWaves:2", "0.25"));
        var optics = OpticsOf.Settings(settings, [0.5, 0.1]);
        optics.Validate();
        optics.Source.SlotPeriodPicoseconds.ShouldBe(5000);
        optics.Source.PhotonsPerPulse.ShouldBe([0.5, 0.1]);
        optics.Source.ZBasisProbability.ShouldBe(0.75);
        optics.Source.IntensityProbabilities.ShouldBe([1]);
        optics.Channel.Transmittance.ShouldBe(Math.Pow(10, -0.52), 1e-12);
        optics.Controller.RetardanceWaves.ShouldBe([0.25, 0.5, 0.25]);
        optics.Detectors.ShouldAllBe(detector => detector.DeadTimePicoseconds == 30_000 && detector.Efficiency == 0.7);
    }

    [Fact]
    public void The_defaults_are_those_of_the_optics()
    {
        var (mine, theirs) = (OpticsOf.Settings(new EmulationSettings(), new SourceSettings().PhotonsPerPulse), new OpticsSettings());
        mine.Channel.ShouldBe(theirs.Channel);
        mine.Receiver.ShouldBe(theirs.Receiver);
        mine.Truth.ShouldBe(theirs.Truth);
        mine.Detectors.ShouldBe(theirs.Detectors);
        mine.Controller.RetardanceWaves.ShouldBe(theirs.Controller.RetardanceWaves);
        mine.Source.IntensityProbabilities.ShouldBe(theirs.Source.IntensityProbabilities);
        (mine.Source with { PhotonsPerPulse = theirs.Source.PhotonsPerPulse, IntensityProbabilities = theirs.Source.IntensityProbabilities }).ShouldBe(theirs.Source);
    }

    private static EmulationSettings Bind(params (string Key, string Value)[] settings) =>
        EmulationSettings.Bind(Configuration([.. settings.Select(setting => ($"Bench:Emulation:{setting.Key}", setting.Value))]).GetSection("Bench:Emulation"));

    private static IConfigurationRoot Configuration((string Key, string Value)[] settings) =>
        new ConfigurationBuilder().AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value))).Build();
}
