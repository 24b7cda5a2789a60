using Microsoft.Extensions.DependencyInjection;
using Qkd.Devices;
using Qkd.Drivers.SingleQuantum;
using Qkd.Drivers.SingleQuantum.WebSq;
using Qkd.Drivers.Tests.Support;
using Qkd.Transports;
using Shouldly;

namespace Qkd.Drivers.Tests.SingleQuantum;

/// <summary>Opening, against peers that are a WebSQ, and against others.</summary>
public sealed class WebSqOpeningTests
{
    private const string End = WebSqPeer.End;

    [Fact]
    public async Task Asks_for_all_labels_and_for_nothing_else()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync();

        peer.Received.ShouldBe(["""{"request":"labelProps","value":"None"}"""]);
        detectors.Identity.ShouldBe(new("Single Quantum", "WebSQ", "", ""));
        detectors.DetectorCapabilities.ShouldBe(new()
        {
            ChannelCount = 2,
            BiasCurrentMicroamperes = new(0, 40),
            TriggerLevelMillivolts = new(-300, 300),
            MeasurementPeriod = TimeSpan.FromMilliseconds(100),
        });
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, false)]
    [InlineData(7, false)]
    [InlineData(0, true)]
    [InlineData(1, true)]
    public async Task Answers_may_be_cut_and_joined_anywhere(int chunk, bool oneByOne)
    {
        await using var peer = new WebSqPeer(
            message => message.Contains("labelProps", StringComparison.Ordinal) && oneByOne
                ? WebSqPeer.Labels.Replace("}{", "}" + End + "{", StringComparison.Ordinal) + End
                : null,
            chunk);
        await using var detectors = await peer.OpenAsync();
        await peer.CountAsync("1,5,6\n");
        var status = await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit();
        status.BiasCurrentsMicroamperes.ShouldBe([12.5, 8]);
        status.TriggerLevelsMillivolts.ShouldBe([23, 24]);
        status.BiasVoltagesMillivolts.ShouldBe([0.6, 0.4]);
        status.CountRatesHertz.ShouldBe([50, 60]);
    }

    [Fact]
    public async Task Options_narrow_the_limits_of_the_instrument()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync(("MaximumBiasMicroamperes", "20"), ("maximumtriggermillivolts", "200"));
        detectors.DetectorCapabilities.BiasCurrentMicroamperes.ShouldBe(new SettingRange(0, 20));
        detectors.DetectorCapabilities.TriggerLevelMillivolts.ShouldBe(new SettingRange(-200, 200));
        await Should.ThrowAsync<SettingOutOfRangeException>(
            async () => await detectors.SetBiasCurrentsAsync(new double[] { 8, 20.1 }, TestLimits.Token).WithinLimit());
    }

    [Fact]
    public async Task An_instrument_that_states_no_limits_gets_those_of_the_options()
    {
        await using var peer = new WebSqPeer(message => message.Contains("labelProps", StringComparison.Ordinal)
            ? """{"label":"NumberOfDetectors","value":{"value":2}}{"label":"InptMeasurementPeriod","value":{"value":50}}"""
                + """{"label":"BiasCurrent","value":{"value":[1,2]}}{"label":"TriggerLevel","value":{"value":[3,4]}}"""
                + """{"label":"DetectorEnable","value":{"value":true}}""" + End
            : null);
        await using var detectors = await peer.OpenAsync();
        detectors.DetectorCapabilities.BiasCurrentMicroamperes.ShouldBe(new SettingRange(0, 50));
        detectors.DetectorCapabilities.TriggerLevelMillivolts.ShouldBe(new SettingRange(-1000, 1000));
        detectors.DetectorCapabilities.MeasurementPeriod.ShouldBe(TimeSpan.FromMilliseconds(50));
    }

    [Fact]
    public async Task An_instrument_without_trigger_levels_has_none()
    {
        await using var peer = new WebSqPeer(message => message.Contains("labelProps", StringComparison.Ordinal)
            ? """{"label":"NumberOfDetectors","value":{"value":2}}{"label":"InptMeasurementPeriod","value":{"value":50}}"""
                + """{"label":"BiasCurrent","value":{"value":[1,2]}}{"label":"DetectorEnable","value":{"value":false}}""" + End
            : null);
        await using var detectors = await peer.OpenAsync(("TimeoutSeconds", "1"));
        detectors.DetectorCapabilities.TriggerLevelMillivolts.ShouldBeNull();
        await peer.CountAsync("1,5,6\n");
        (await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit()).TriggerLevelsMillivolts.ShouldBeEmpty();
        await Should.ThrowAsync<NotSupportedException>(
            async () => await detectors.SetTriggerLevelsAsync(new double[] { 1, 2 }, TestLimits.Token).WithinLimit());
    }

    [Fact]
    public async Task Sets_the_measurement_period_where_one_is_given()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync(("MeasurementPeriodMilliseconds", "50"));
        peer.Received[^1].ShouldBe("""{"command":"SetMeasurementPeriod","label":"InptMeasurementPeriod","value":50}""");
        detectors.DetectorCapabilities.MeasurementPeriod.ShouldBe(TimeSpan.FromMilliseconds(50));
    }

    [Theory]
    [InlineData("-113,\"Undefined header\"\r\n")]
    [InlineData("\u0001\u0002\u0003" + End)]
    [InlineData("""{"jsonrpc":"2.0","error":{"code":-32600}}""" + End)]
    [InlineData("""{"label":"Error","value":"what?"}""" + End)]
    [InlineData("""{"label":"Temperature","value":{"value":2.5}}""" + End)]
    [InlineData("""{"label":"NumberOfDetectors","value":{"value":4}}""" + End)]
    public async Task Another_instrument_at_the_address_is_the_wrong_one(string answer)
    {
        await using var peer = new WebSqPeer(_ => answer);
        var error = await Should.ThrowAsync<WrongDeviceException>(async () => await peer.OpenAsync(("TimeoutSeconds", "0.3")));
        error.Device.ShouldBe("detectors");
        error.Message.ShouldContain("WebSQ");
        error.Message.ShouldContain(peer.Control.Text);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("2.5")]
    [InlineData("-1")]
    [InlineData("\"two\"")]
    [InlineData("[2,2]")]
    public async Task A_number_of_detectors_that_is_none_is_not_believed(string number)
    {
        await using var peer = new WebSqPeer(_ => WebSqPeer.Labels.Replace("\"value\":2}", $"\"value\":{number}}}", StringComparison.Ordinal) + End);
        var error = await Should.ThrowAsync<WrongDeviceException>(async () => await peer.OpenAsync());
        error.Message.ShouldContain(number.Trim('"'));
    }

    [Theory]
    [InlineData("[12.5,8]", "[12.5]")]
    [InlineData("[23,24]", "[23,\"24\"]")]
    [InlineData("\"value\":100", "\"value\":0")]
    [InlineData("false", "\"off\"")]
    public async Task A_label_with_a_value_that_it_cannot_have_is_an_error(string value, string instead)
    {
        await using var peer = new WebSqPeer(_ => WebSqPeer.Labels.Replace(value, instead, StringComparison.Ordinal) + End);
        var error = await Should.ThrowAsync<DeviceProtocolException>(async () => await peer.OpenAsync());
        error.Device.ShouldBe("detectors");
    }

    [Fact]
    public async Task A_silent_address_ends_in_a_time_out()
    {
        await using var peer = new WebSqPeer(_ => "");
        var error = await Should.ThrowAsync<DeviceTimeoutException>(async () => await peer.OpenAsync(("TimeoutSeconds", "0.2")));
        error.Message.ShouldContain("no answer to labelProps within 0.2 s");
    }

    [Fact]
    public async Task Without_the_counts_it_does_not_open_and_the_bias_is_left_alone()
    {
        await using var peer = new WebSqPeer();
        var driver = new WebSqDriver((address, options, transcript, channel, token) => channel == "counts"
            ? throw new DeviceException(options.DeviceName, address.Text, "cannot connect")
            : ByteTransport.ConnectAsync(address, options, transcript, channel, token));
        var error = await Should.ThrowAsync<DeviceException>(
            async () => await driver.OpenAsync(peer.Request(), TestLimits.Token).WithinLimit());
        error.Address.ShouldBe(peer.Counts.Text);
        peer.Received.ShouldBe(["""{"request":"labelProps","value":"None"}"""]);
    }

    [Fact]
    public async Task Counts_are_looked_for_beside_the_control_port_unless_told_otherwise()
    {
        await using var peer = new WebSqPeer();
        DeviceAddress? asked = null;
        var driver = new WebSqDriver((address, options, transcript, channel, token) =>
        {
            if (channel == "counts")
            {
                (asked, address) = (address, peer.Counts);
            }

            return ByteTransport.ConnectAsync(address, options, transcript, channel, token);
        });
        var request = new DeviceOpenRequest { Name = "detectors", Address = peer.Control };
        await using var device = await driver.OpenAsync(request, TestLimits.Token).WithinLimit();
        (asked!.Host, asked.Port).ShouldBe(("127.0.0.1", 12345));
    }

    [Theory]
    [InlineData("MaximumBias", "60", "MaximumBias")]
    [InlineData("MaximumBiasMicroamperes", "a lot", "MaximumBiasMicroamperes")]
    [InlineData("MaximumBiasMicroamperes", "0", "outside")]
    [InlineData("KeepBiasOnClose", "1", "KeepBiasOnClose")]
    [InlineData("Endpoints:Counts", "ASRLCOM3::INSTR", "Endpoints:Counts")]
    [InlineData("Endpoints:Counts", "here", "Endpoints:Counts")]
    public async Task A_wrong_option_is_refused_by_name(string key, string value, string named)
    {
        await using var peer = new WebSqPeer();
        var error = await Should.ThrowAsync<FormatException>(async () => await peer.OpenAsync((key, value)));
        error.Message.ShouldContain("detectors");
        error.Message.ShouldContain(named);
        peer.Received.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_measurement_period_beyond_the_limits_is_refused()
    {
        await using var peer = new WebSqPeer();
        var error = await Should.ThrowAsync<SettingOutOfRangeException>(
            async () => await peer.OpenAsync(("MeasurementPeriodMilliseconds", "5")));
        error.Message.ShouldContain("5 ms");
    }

    [Fact]
    public async Task A_serial_port_is_no_address_for_it()
    {
        var request = new DeviceOpenRequest { Name = "detectors", Address = DeviceAddress.Parse("ASRLCOM3::INSTR") };
        var error = await Should.ThrowAsync<FormatException>(
            async () => await new WebSqDriver().OpenAsync(request, TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("detectors");
        error.Message.ShouldContain("TCP");
    }

    [Fact]
    public void Is_found_among_the_services_once()
    {
        var services = new ServiceCollection().AddSingleQuantumDrivers().AddSingleQuantumDrivers();
        services.Select(service => ((IDeviceDriver)service.ImplementationFactory!(null!)).Id).ShouldBe(["singlequantum.websq"]);
    }
}
