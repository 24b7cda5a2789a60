using System.Text;
using System.Text.Json;
using Qkd.Sim.Firmware.SingleQuantum;
using Qkd.Sim.Firmware.Tests.ReferenceTransmitter;
using Qkd.Sim.Firmware.Tests.Serial;
using Shouldly;

namespace Qkd.Sim.Firmware.Tests.SingleQuantum;

/// <summary>
/// The detectors' driver byte for byte, as Single Quantum's manual of the WebSQ and its public driver have it: bare JSON without terminator to it,
/// messages that end in 0x17 or are joined as <c>}{</c> from it, counts as lines on a port of their own.
/// </summary>
public sealed class WebSqWireTests
{
    private const byte End = 0x17;

    [Fact]
    public async Task Tells_all_labels_some_of_them_joined()
    {
        await using var detectors = await StartAsync(new() { DetectorCount = 2 });
        using var line = new RawLine(detectors.Address);

        line.Send("""{"request":"labelProps","value":"None"}"""u8);
        var labels = new Dictionary<string, JsonElement>();
        var joined = false;
        while (!labels.ContainsKey("BiasCurrentAutoIV"))
        {
            var text = Encoding.UTF8.GetString(line.ReceiveThrough(End).AsSpan()[..^1]);
            joined |= text.Contains("}{", StringComparison.Ordinal);
            foreach (var message in JsonDocument.Parse($"[{text.Replace("}{", "},{", StringComparison.Ordinal)}]").RootElement.EnumerateArray())
            {
                labels.Add(message.GetProperty("label").GetString()!, message.GetProperty("value"));
            }
        }

        joined.ShouldBeTrue();
        labels["NumberOfDetectors"].GetProperty("value").GetInt32().ShouldBe(2);
        labels["BiasCurrent"].GetRawText().ShouldBe("""{"value":[18,18],"bounds":[0,50],"units":"uA"}""");
        labels["TriggerLevel"].GetRawText().ShouldBe("""{"value":[100,100],"bounds":[-1000,1000],"units":"mV"}""");
        labels["InptMeasurementPeriod"].GetRawText().ShouldBe("""{"value":100,"bounds":[10,10000],"units":"ms"}""");
        labels["DetectorEnable"].GetProperty("value").GetBoolean().ShouldBeFalse();
    }

    [Fact]
    public async Task Sets_are_told_to_all_hosts()
    {
        await using var detectors = await StartAsync(new() { DetectorCount = 2 });
        using var line = new RawLine(detectors.Address);
        using var other = new RawLine(detectors.Address);

        // Both must have been taken before something is told to all.
        other.Send("""{"request":"NumberOfDetectors"}"""u8);
        other.ShouldReceive([.. """{"label":"NumberOfDetectors","value":2}"""u8, End]);

        line.Send("""{"command":"SetMeasurementPeriod","label":"InptMeasurementPeriod","value":200}"""u8);
        Both("""{"label":"InptMeasurementPeriod","value":200}""");
        line.Send("""{"command":"SetAllBiasCurrents","label":"BiasCurrent","value":[12.0,8.0]}"""u8);
        Both("""{"label":"BiasCurrent","value":[12,8]}""");
        line.Send("""{"command":"SetAllTriggerLevels","label":"TriggerLevel","value":[23.0,24.5]}"""u8);
        Both("""{"label":"TriggerLevel","value":[23,24.5]}""");
        detectors.Enabled.ShouldBeFalse();
        line.Send("""{"command":"DetectorEnable","value":true}"""u8);
        Both("""{"label":"DetectorEnable","value":true}""");
        detectors.Enabled.ShouldBeTrue();

        // 12 uA and 8 uA across 50 ohms.
        line.Send("""{"request":"BiasVoltage"}"""u8);
        line.ShouldReceive([.. """{"label":"BiasVoltage","value":[0.6,0.4]}"""u8, End]);
        other.ShouldBeQuiet();

        void Both(string message)
        {
            line.ShouldReceive([.. Encoding.UTF8.GetBytes(message), End]);
            other.ShouldReceive([.. Encoding.UTF8.GetBytes(message), End]);
        }
    }

    [Fact]
    public async Task Messages_may_be_joined_and_cut_anywhere()
    {
        await using var detectors = await StartAsync(new());
        using var line = new RawLine(detectors.Address);

        line.Send("""{"request":"NumberOf"""u8);
        line.ShouldBeQuiet();
        line.Send("""Detectors"}{"request":"DetectorEnable"}"""u8);
        line.ShouldReceive([.. """{"label":"NumberOfDetectors","value":4}"""u8, End, .. """{"label":"DetectorEnable","value":false}"""u8, End]);
    }

    [Theory]
    [InlineData("""{"command":"SetAllBiasCurrents","value":[12.0,8.0]}""", "SetAllBiasCurrents needs 4 values")]
    [InlineData("""{"command":"SetAllBiasCurrents","value":[1,2,3,51]}""", "SetAllBiasCurrents: 51 is out of range 0 to 50 uA")]
    [InlineData("""{"command":"SetMeasurementPeriod","value":5}""", "SetMeasurementPeriod: 5 is out of range 10 to 10000 ms")]
    [InlineData("""{"command":"DetectorEnable","value":1}""", "DetectorEnable needs true or false")]
    [InlineData("""{"command":"Explode","value":true}""", "unknown command Explode")]
    [InlineData("""{"request":"Weather"}""", "unknown request Weather")]
    [InlineData("""{"wish":true}""", "neither request nor command")]
    [InlineData("""{not json}""", "message not understood")]
    public async Task What_is_refused_changes_nothing_and_is_told_under_a_label_with_error(string message, string reason)
    {
        await using var detectors = await StartAsync(new());
        using var line = new RawLine(detectors.Address);

        line.Send(Encoding.UTF8.GetBytes(message));
        line.ShouldReceive([.. Encoding.UTF8.GetBytes($$"""{"label":"Error","value":"{{reason}}"}"""), End]);
        line.Send("""{"request":"BiasCurrent"}"""u8);
        line.ShouldReceive([.. """{"label":"BiasCurrent","value":[18,18,18,18]}"""u8, End]);
        detectors.Enabled.ShouldBeFalse();
    }

    [Fact]
    public async Task Counts_are_pushed_each_period_while_bias_is_on()
    {
        var time = new ManualTime();
        await using var detectors = await StartAsync(new() { DetectorCount = 2 }, time);
        using var line = new RawLine(detectors.Address);
        using var counts = new RawLine(detectors.Endpoints["Counts"]);
        await HostIsTakenAsync(counts, time);

        line.Send("""{"command":"DetectorEnable","value":true}"""u8);
        line.ReceiveThrough(End);
        detectors.AddCounts(0, 1200);
        detectors.AddCounts(1, 3);
        detectors.AddCounts(0, 34);
        time.Advance(TimeSpan.FromMilliseconds(100.001));
        Next(counts).ShouldBe("1234,3");

        line.Send("""{"command":"DetectorEnable","value":false}"""u8);
        line.ReceiveThrough(End);
        detectors.AddCounts(0, 1200);
        time.Advance(TimeSpan.FromMilliseconds(100.001));
        Next(counts).ShouldBe("0,0");
    }

    [Fact]
    public async Task Finds_the_bias_by_itself_in_the_dark()
    {
        var time = new ManualTime();
        await using var detectors = await StartAsync(new() { DetectorCount = 2, DarkBiasMicroamperes = 18.5 }, time);
        using var line = new RawLine(detectors.Address);

        line.Send("""{"command":"DarkCountsAutoIV","value":[100,100]}"""u8);
        line.ShouldReceive([.. """{"label":"DarkCountsAutoIV","value":[100,100]}"""u8, End]);
        line.Send("""{"command":"AutoCaliBiasCurrents","value":true}"""u8);
        line.ShouldReceive([.. """{"label":"StartAutoIV","value":true}"""u8, End]);
        line.Send("""{"request":"StartAutoIV"}"""u8);
        line.ShouldReceive([.. """{"label":"StartAutoIV","value":true}"""u8, End]);
        time.Advance(TimeSpan.FromSeconds(2));
        line.ShouldReceive([
            .. """{"label":"BiasCurrentAutoIV","value":[18.5,18.5]}"""u8, End,
            .. """{"label":"BiasCurrent","value":[18.5,18.5]}"""u8, End,
            .. """{"label":"StartAutoIV","value":false}"""u8, End]);
        line.Send("""{"request":"BiasCurrentAutoIV"}"""u8);
        line.ShouldReceive([.. """{"label":"BiasCurrentAutoIV","value":[18.5,18.5]}"""u8, End]);
    }

    [Fact]
    public async Task Misbehaves_as_told()
    {
        await using var detectors = await StartAsync(new());
        byte[] answer = [.. """{"label":"NumberOfDetectors","value":4}"""u8, End];
        using (var line = new RawLine(detectors.Address))
        {
            detectors.Inject(InstrumentFault.Silent);
            line.Send("""{"request":"NumberOfDetectors"}"""u8);
            line.ShouldBeQuiet();
            detectors.Inject(InstrumentFault.HalfAnswer);
            line.Send("""{"request":"NumberOfDetectors"}"""u8);
            line.ShouldReceive(answer.AsSpan(0, answer.Length / 2));
            line.ShouldBeQuiet();
            detectors.Inject(InstrumentFault.Garbage);
            line.Send("""{"request":"NumberOfDetectors"}"""u8);
            line.Receive(answer.Length).ShouldNotBe(answer);
            detectors.Inject(InstrumentFault.Disconnect);
            line.ShouldBeClosed();
        }

        detectors.Inject(InstrumentFault.None);
        using var again = new RawLine(detectors.Address);
        again.Send("""{"request":"NumberOfDetectors"}"""u8);
        again.ShouldReceive(answer);
    }

    private static string Next(RawLine counts)
    {
        var line = Encoding.ASCII.GetString(counts.ReceiveThrough((byte)'\n'));
        return line[(line.IndexOf(',') + 1)..^1];
    }

    /// <summary>A connection has been taken once a first line of counts comes through it.</summary>
    private static async Task HostIsTakenAsync(RawLine counts, ManualTime time)
    {
        var first = Task.Run(() => Next(counts), TestContext.Current.CancellationToken);
        while (!first.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(100.001));
            await Task.WhenAny(first, Task.Delay(TimeSpan.FromMilliseconds(50), TestContext.Current.CancellationToken));
        }

        (await first).ShouldBe("0,0");

        // Lines on their way.
        await Task.Delay(TimeSpan.FromMilliseconds(100), TestContext.Current.CancellationToken);
        while (counts.HasMore())
        {
            Next(counts);
        }
    }

    private static async Task<WebSqEmulator> StartAsync(WebSqSettings settings, TimeProvider? time = null)
    {
        var detectors = new WebSqEmulator(settings, time);
        await detectors.StartAsync(TestContext.Current.CancellationToken);
        return detectors;
    }
}
