using Qkd.Devices.Drivers;
using Shouldly;

namespace Qkd.Devices.Tests.Drivers;

public sealed class DriverOptionsTests
{
    [Fact]
    public void Reads_each_kind_without_regard_to_case()
    {
        var options = Options(
            ("serialnumber", "M1"), ("MaximumDecibels", "1.5e1"), ("BAUDRATE", "115200"), ("updates", "False"), ("TimeoutSeconds", "0.25"),
            ("endpoints:counts", "tcp:10.0.0.5:12345"));

        options.Text("SerialNumber").ShouldBe("M1");
        options.Number("MaximumDecibels", 60, 0, 100).ShouldBe(15);
        options.Integer("BaudRate", 9600, 300, 1_000_000).ShouldBe(115200);
        options.Flag("Updates", true).ShouldBeFalse();
        options.Seconds("TimeoutSeconds", TimeSpan.FromSeconds(2)).ShouldBe(TimeSpan.FromMilliseconds(250));
        options.Address("Endpoints:Counts")!.Port.ShouldBe(12345);
        options.RefuseUnknown();
    }

    [Fact]
    public void Absent_options_take_their_defaults()
    {
        var options = Options();
        options.Text("SerialNumber", "any").ShouldBe("any");
        options.Number("MaximumDecibels", 60, 0, 100).ShouldBe(60);
        options.Integer("BaudRate", 9600, 300, 1_000_000).ShouldBe(9600);
        options.Flag("Updates", true).ShouldBeTrue();
        options.Seconds("TimeoutSeconds", TimeSpan.FromSeconds(2)).ShouldBe(TimeSpan.FromSeconds(2));
        options.Address("Endpoints:Counts").ShouldBeNull();
    }

    [Theory]
    [InlineData("ten")]
    [InlineData("10,5")]
    [InlineData("NaN")]
    [InlineData("100.1")]
    [InlineData("-0.1")]
    public void A_wrong_number_is_refused_by_device_and_name(string text)
    {
        var error = Should.Throw<FormatException>(() => Options(("MaximumDecibels", text)).Number("MaximumDecibels", 60, 0, 100));
        error.Message.ShouldStartWith("attenuator: option MaximumDecibels");
    }

    [Fact]
    public void Other_wrong_values_are_refused_by_name()
    {
        var options = Options(("Count", "1.5"), ("Flag", "on"), ("Wait", "0"), ("Where", "nowhere"));
        Should.Throw<FormatException>(() => options.Integer("Count", 1, 0, 9)).Message.ShouldContain("Count");
        Should.Throw<FormatException>(() => options.Flag("Flag", true)).Message.ShouldContain("Flag");
        Should.Throw<FormatException>(() => options.Seconds("Wait", TimeSpan.FromSeconds(1))).Message.ShouldContain("Wait");
        Should.Throw<FormatException>(() => options.Address("Where")).Message.ShouldContain("Where");
    }

    [Fact]
    public void An_option_that_nobody_asked_for_is_refused_and_the_known_are_listed()
    {
        var options = Options(("MaximumDecibel", "60"));
        options.Number("MaximumDecibels", 60, 0, 100);
        options.Number("MinimumDecibels", 0, 0, 100);
        Should.Throw<FormatException>(options.RefuseUnknown).Message
            .ShouldBe("attenuator: option MaximumDecibel is not known; known are MaximumDecibels, MinimumDecibels.");
    }

    [Fact]
    public void An_option_given_twice_is_refused() =>
        Should.Throw<FormatException>(() => Options(("BaudRate", "1"), ("baudrate", "2"))).Message.ShouldContain("twice");

    private static DriverOptions Options(params (string Key, string Value)[] options) => new(new DeviceOpenRequest
    {
        Name = "attenuator",
        Address = DeviceAddress.ForTcp("127.0.0.1", 1),
        Options = options.ToDictionary(option => option.Key, option => option.Value),
    });
}
