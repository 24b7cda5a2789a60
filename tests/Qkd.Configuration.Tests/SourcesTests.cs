using Qkd.Configuration.Tests.Support;
using Qkd.Node.Configuration;
using Qkd.Sim.Bench;
using Shouldly;

namespace Qkd.Configuration.Tests;

/// <summary>File, environment, command line: what is read from where, and what cannot be read. The environment is one for the process, hence the collection.</summary>
[Collection("Environment")]
public sealed class SourcesTests
{
    [Theory]
    [InlineData("bench.json", true, true)]
    [InlineData("alice.json", true, false)]
    [InlineData("bob.json", false, true)]
    public void The_configurations_shipped_are_read(string file, bool alice, bool bob)
    {
        var configuration = BenchConfiguration.Load(SourceTree.Config(file), []);
        var options = BenchConfiguration.Bind(configuration);
        (options.Alice is not null).ShouldBe(alice);
        (options.Bob is not null).ShouldBe(bob);
        options.Protocol.Intensities.ShouldBe([0.45, 0.15, 0.001]);
        options.Protocol.FrameSlots.ShouldBe(1_000_000);
        EmulationSettings.Load(configuration).Enabled.ShouldBe(alice && bob);
        if (options.Bob is { } node)
        {
            node.Devices.Keys.Order().ShouldBe(["detectors", "paddles", "tagger"]);
            node.Devices["TAGGER"].Driver.ShouldBe("idquantique.id900");
            node.Receiver.BiasMicroamperes.ShouldBe([18, 18, 18, 18]);
            node.Receiver.Attestations.ReceiverModel.ShouldNotBeNull().Date.ShouldBe("2026-11-24");
        }
    }

    [Fact]
    public void Both_ends_shipped_agree_with_each_other()
    {
        var alice = BenchConfiguration.Bind(BenchConfiguration.Load(SourceTree.Config("alice.json"), []));
        var bob = BenchConfiguration.Bind(BenchConfiguration.Load(SourceTree.Config("bob.json"), []));
        (bob.Protocol with { Intensities = alice.Protocol.Intensities, IntensityProbabilities = alice.Protocol.IntensityProbabilities }).ShouldBe(alice.Protocol);
        bob.Protocol.Intensities.ShouldBe(alice.Protocol.Intensities);
        bob.Protocol.IntensityProbabilities.ShouldBe(alice.Protocol.IntensityProbabilities);
        bob.Bob!.Link.Endpoint.ShouldBe(alice.Alice!.Link.Endpoint);
        bob.Bob.Keys.PeerKmeId.ShouldBe(alice.Alice.Keys.KmeId);
        alice.Alice.Keys.PeerKmeId.ShouldBe(bob.Bob.Keys.KmeId);
    }

    [Fact]
    public void The_environment_goes_over_the_file_and_the_command_line_over_both()
    {
        const string variable = "QKD_Bench__Web__StatusPage";
        var file = SourceTree.Config("bench.json");
        StatusPage().ShouldBe("http://127.0.0.1:8080");
        try
        {
            Environment.SetEnvironmentVariable(variable, "http://127.0.0.1:9001");
            StatusPage().ShouldBe("http://127.0.0.1:9001");
            StatusPage("--Bench:Web:StatusPage=http://127.0.0.1:9002").ShouldBe("http://127.0.0.1:9002");
            StatusPage("--Bench:Web:StatusPage=http://127.0.0.1:9002", "--bench:web:statuspage=http://127.0.0.1:9003").ShouldBe("http://127.0.0.1:9003");
        }
        finally
        {
            Environment.SetEnvironmentVariable(variable, null);
        }

        string StatusPage(params string[] overrides) => BenchConfiguration.Bind(BenchConfiguration.Load(file, overrides)).Web.StatusPage;
    }

    [Fact]
    public void Variables_without_the_prefix_are_no_settings_and_others_with_it_do_no_harm()
    {
        try
        {
            Environment.SetEnvironmentVariable("Bench__Web__StatusPage", "http://127.0.0.1:9001");
            Environment.SetEnvironmentVariable("QKD_SOMETHING_ELSE", "1");
            BenchConfiguration.Bind(BenchConfiguration.Load(SourceTree.Config("bench.json"), [])).Web.StatusPage.ShouldBe("http://127.0.0.1:8080");
        }
        finally
        {
            Environment.SetEnvironmentVariable("Bench__Web__StatusPage", null);
            Environment.SetEnvironmentVariable("QKD_SOMETHING_ELSE", null);
        }
    }

    [Fact]
    public void A_slip_in_the_environment_is_told_like_any_other()
    {
        const string variable = "QKD_Bench__Bob__Receiver__Chanels";
        try
        {
            Environment.SetEnvironmentVariable(variable, "1");
            Should.Throw<ConfigurationException>(() => BenchConfiguration.Bind(BenchConfiguration.Load(SourceTree.Config("bench.json"), [])))
                .Path.ShouldBe("Bench:Bob:Receiver:Chanels");
        }
        finally
        {
            Environment.SetEnvironmentVariable(variable, null);
        }
    }

    [Fact]
    public void Overrides_reach_lists_devices_and_the_emulation()
    {
        var configuration = BenchConfiguration.Load(
            SourceTree.Config("bench.json"),
            [
                "--Bench:Bob:Receiver:DelaysPicoseconds:2=-120.5", "--Bench:Bob:Devices:detectors:Options:Endpoints:Counts=TCPIP0::10.0.0.5::12345::SOCKET",
                "--Bench:Bob:Devices:detectors:Options:SerialNumber=7", "--Bench:Emulation:Channel:LengthKm=40", "--Bench:Emulation:Faults:0:Instrument=tagger",
            ]);
        var bob = BenchConfiguration.Bind(configuration).Bob!;
        bob.Receiver.DelaysPicoseconds.ShouldBe([0, 0, -120.5, 0]);
        bob.Devices["detectors"].Options.Count.ShouldBe(2);
        bob.Devices["detectors"].Options["Endpoints:Counts"].ShouldBe("TCPIP0::10.0.0.5::12345::SOCKET");
        bob.Devices["detectors"].Options["serialnumber"].ShouldBe("7");
        bob.Devices["tagger"].Options.ShouldBeEmpty();
        var emulation = EmulationSettings.Load(configuration);
        emulation.Channel.LengthKm.ShouldBe(40);
        emulation.Faults.ShouldHaveSingleItem().Instrument.ShouldBe("tagger");
    }

    [Fact]
    public void A_file_that_is_not_there_is_told()
    {
        var file = Path.Combine(Path.GetTempPath(), "qkd-no-such-file.json");
        ShouldNotLoad(file).Message.ShouldContain(file);
        ShouldNotLoad(Path.GetTempPath()).Message.ShouldContain("there is no file");
    }

    [Theory]
    [InlineData("{\n  \"Bench\": {\n    \"DataFolder\": \"data\"\n    \"Web\": {}\n  }\n}\n", "line 4")]
    [InlineData("{\n  \"Bench\": {\n", "line 3")]
    [InlineData("", "line 1")]
    [InlineData("{\n  \"Bench\": { \"DataFolder\": \"a\" },\n  \"bench\": { \"DataFolder\": \"b\" }\n}\n", "DataFolder")]
    [InlineData("[1, 2]\n", "object")]
    public void A_file_that_is_not_json_is_told_with_the_line(string text, string expected)
    {
        using var file = new TemporaryFile(text);
        var error = ShouldNotLoad(file.Name);
        error.Message.ShouldContain(file.Name);
        error.Message.ShouldContain(expected, Case.Insensitive);
        error.Message.ShouldNotContain('\n');
    }

    [Theory]
    [InlineData("--Bench:Emulation:Seed")]
    [InlineData("Bench:Emulation:Seed=7")]
    [InlineData("-s=7")]
    [InlineData("--=7")]
    [InlineData("")]
    public void An_override_of_another_form_is_told(string setting) =>
        Should.Throw<ConfigurationException>(() => BenchConfiguration.Load(SourceTree.Config("bench.json"), [setting, "--Bench:Web:StatusPage="])).Path.ShouldBe(setting);

    [Theory]
    [InlineData("--Bnech:Web:StatusPage=", "Bnech")]
    [InlineData("--Seed=7", "Seed")]
    [InlineData("--Logging:LogLevel:Default=Debug", "Logging")]
    public void An_override_outside_the_section_is_told(string setting, string path) =>
        Should.Throw<ConfigurationException>(() => BenchConfiguration.Load(SourceTree.Config("bench.json"), [setting])).Path.ShouldBe(path);

    [Theory]
    [InlineData("{ \"Bench\": {} }", "Bench")]
    [InlineData("{}", "Bench")]
    [InlineData("{ \"Bench\": \"here\" }", "Bench")]
    [InlineData("{ \"Bnech\": { \"DataFolder\": \"data\" } }", "Bnech")]
    public void A_file_without_the_section_is_told(string text, string path)
    {
        using var file = new TemporaryFile(text);
        Should.Throw<ConfigurationException>(() => BenchConfiguration.Bind(BenchConfiguration.Load(file.Name, []))).Path.ShouldBe(path);
    }

    private static ConfigurationException ShouldNotLoad(string file)
    {
        var error = Should.Throw<ConfigurationException>(() => BenchConfiguration.Load(file, []));
        error.Path.ShouldBe("--config");
        return error;
    }
}
